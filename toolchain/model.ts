import { createHash } from "node:crypto";
import { mkdir, rm, symlink } from "node:fs/promises";
import { join } from "node:path";
import { codeOf, UserError } from "../lib/errors";
import { writePublic } from "../lib/files";
import { packageRoot } from "../lib/root";
import { isReachable, messageOf, run } from "../lib/run";
import { type Progress, readStamp, type Stamp, writeStamp } from "./install";

const probeSeconds = 4;
const downloadSeconds = 120;
const buildSeconds = 120;

/**
 * Names accepted by the hub: `name` or `organisation/name`, of letters, digits, `-`, `_` and `.`, without
 * `--` and `..`.
 */
const modelName =
  /^[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?(?:\/[A-Za-z0-9_](?:[\w.-]{0,94}[A-Za-z0-9_])?)?$/;

/** Directory for the programs' `HF_HOME`. */
export function modelHome(cache: string): string {
  return join(cache, "hf");
}

/**
 * Name of a model's directory in the hub's cache, safe as a part of a path.
 * @throws Error if the name is not valid on the hub.
 */
export function modelDirectoryName(model: string): string {
  if (!modelName.test(model) || model.includes("--") || model.includes("..")) {
    throw new UserError(
      `${JSON.stringify(model)} is not a model name: use \`name\` or \`organisation/name\`, of letters, digits, "-", "_" and ".", as on the Hugging Face hub (Qwen/Qwen3-8B)`,
    );
  }
  return `models--${model.replace("/", "--")}`;
}

function stampKey(model: string): string {
  return `model-${modelDirectoryName(model)}`;
}

/**
 * A tokenizer's directory as if it were from the hub: with `HF_HUB_OFFLINE` aiperf looks up names alone.
 * https://github.com/ai-dynamo/aiperf/blob/v0.13.0/src/aiperf/common/tokenizer.py (`_resolve_local_snapshot`)
 * @returns Its name, and the `HF_HOME` that has it.
 */
export async function linkedModel(
  cache: string,
  directory: string,
): Promise<{ readonly name: string; readonly home: string }> {
  const name = "local/tokenizer";
  const commit = createHash("sha1").update(directory).digest("hex");
  const home = join(cache, "linked", commit);
  const model = join(home, "hub", modelDirectoryName(name));
  await mkdir(join(model, "snapshots"), { recursive: true });
  await symlink(directory, join(model, "snapshots", commit)).catch((error: unknown) => {
    if (codeOf(error) !== "EEXIST") throw error;
  });
  writePublic(join(model, "refs", "main"), commit);
  return { name, home };
}

/** Recorded for a tokenizer that is not the model's own. */
const builtHere = "the hub cannot be used, a small one was built here (for simulated engines only)";

/** A model's tokenizer, as found or built before; fast. */
export function locateModel(cache: string, model: string): Stamp | undefined {
  return readStamp(cache, stampKey(model));
}

/**
 * The tokenizer and configuration of a model, without weights, in the layout of the hub's cache: from the hub
 * if reachable, else a small tokenizer built here, with which Dynamo's mocker serves under the same name.
 */
export async function ensureModel(
  cache: string,
  python: string,
  model: string,
  onProgress: Progress,
): Promise<Stamp> {
  const known = locateModel(cache, model);
  if (known) return known;
  const home = modelHome(cache);
  const path = join(home, "hub", modelDirectoryName(model));
  const way = (await fromHub(python, home, model, onProgress)) ?? (await build(python, home, path, model));
  onProgress(`Tokenizer of ${model}: ${way}, ${path}`);
  return writeStamp(cache, stampKey(model), { path, version: "1", way });
}

/**
 * The model's own tokenizer, in the same cache; undefined if the hub does not provide it. For clients of a
 * real engine, whose tokens another tokenizer would count wrongly.
 */
export async function ensureHubModel(
  cache: string,
  python: string,
  model: string,
  onProgress: Progress,
): Promise<Stamp | undefined> {
  const known = locateModel(cache, model);
  if (known !== undefined && known.way !== builtHere) return known;
  const home = modelHome(cache);
  const way = await fromHub(python, home, model, onProgress);
  if (way === undefined) return undefined;
  const path = join(home, "hub", modelDirectoryName(model));
  return writeStamp(cache, stampKey(model), { path, version: "1", way });
}

async function fromHub(
  python: string,
  home: string,
  model: string,
  onProgress: Progress,
): Promise<string | undefined> {
  const endpoint = process.env["HF_ENDPOINT"] || "https://huggingface.co";
  if (process.env["HF_HUB_OFFLINE"] === "1" || !(await isReachable(endpoint, probeSeconds))) return undefined;
  const program = [
    "import sys, huggingface_hub as hub",
    "hub.snapshot_download(sys.argv[1], allow_patterns=['*.json', '*.jinja', 'merges.txt', 'tokenizer.model'],",
    "  ignore_patterns=['*.index.json'])",
  ].join("\n");
  try {
    const env = { HF_HOME: home, HF_HUB_DISABLE_PROGRESS_BARS: "1" };
    await run(python, ["-c", program, model], { env, timeoutSeconds: downloadSeconds });
    return `downloaded from ${endpoint}`;
  } catch (error) {
    const lastLine = messageOf(error).trim().split("\n").at(-1);
    onProgress(`The hub does not give the tokenizer of ${model}: ${lastLine}`);
    return undefined;
  }
}

async function build(python: string, home: string, path: string, model: string): Promise<string> {
  // An interrupted download may have left a part.
  await rm(path, { recursive: true, force: true });
  const script = join(packageRoot(), "toolchain", "build_tokenizer.py");
  const corpus = join(packageRoot(), "toolchain", "corpus.txt");
  await run(python, [script, "--home", home, "--directory", modelDirectoryName(model), "--corpus", corpus], {
    timeoutSeconds: buildSeconds,
    env: { TOKENIZERS_PARALLELISM: "false" },
  });
  return builtHere;
}
