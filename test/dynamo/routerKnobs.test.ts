/**
 * The router's options and the parsers in the configuration, compared with those of the installed Dynamo; and a
 * frontend that starts, and answers, with each of the options.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "../../config/parsers";
import { ConfigError } from "../../config/problems";
import { ROUTER_KNOBS, ROUTER_MODES, type RouterKnob, routerSchema } from "../../config/router";
import { processesOf } from "../../lib/processes";
import { parseConfig } from "../../plan/config";
import { ensureToolchain } from "../../toolchain/index";
import { TestDeployment } from "./support";

/** Prints every option of the router: its flags, default, and choices. */
const SCRIPT = `
import argparse, json
from dynamo.common.configuration.groups.kv_router_args import KvRouterArgGroup
from dynamo.common.configuration.groups.router_args import RouterArgGroup
parser = argparse.ArgumentParser(add_help=False)
RouterArgGroup(default_router_mode="round-robin", include_frontend_only=True).add_arguments(parser)
KvRouterArgGroup().add_arguments(parser)
print(json.dumps([
    {"flags": action.option_strings, "default": action.default, "choices": action.choices}
    for action in parser._actions if action.help != argparse.SUPPRESS
]))
`;

interface Option {
  readonly flags: readonly string[];
  readonly default: unknown;
  readonly choices: readonly string[] | null;
}

/** Options that are no knobs here. */
const NO_KNOBS = new Set([
  // The mode has a key of its own.
  "--router-mode",
  // They do nothing in a frontend, or nothing yet.
  "--enforce-disagg",
  "--enable-session-prefix-index",
  // It needs a package that PyPI does not carry.
  "--router-prefill-load-model",
  // Going with Dynamo 1.7, for `policyConfig`.
  "--router-prefill-policy",
  "--router-decode-policy",
  // JSON, for `frontend.args`.
  "--router-conditional-disagg-config",
]);

/** The output of a script in the environment of the installed Dynamo. */
async function ofDynamo(script: string): Promise<string> {
  const { python } = await ensureToolchain({ need: ["python"] });
  if (python === undefined) throw new Error("no Python environment with Dynamo");
  // Without the shell's DYN_* variables, which would change the defaults.
  const { stdout } = await promisify(execFile)(python.path, ["-c", script], {
    env: { PATH: process.env["PATH"] },
  });
  return stdout;
}

test("parsers are those of Dynamo", async () => {
  const script =
    "import json; from dynamo import _core as core; print(json.dumps([sorted(core.get_reasoning_parser_names()), sorted(core.get_tool_parser_names())]))";
  const [reasoning, toolCalls] = JSON.parse(await ofDynamo(script));
  expect([...REASONING_PARSERS].sort()).toEqual(reasoning);
  expect([...TOOL_CALL_PARSERS].sort()).toEqual(toolCalls);
});

test("knobs, defaults and modes are those of Dynamo's own router", async () => {
  const options: Option[] = JSON.parse(await ofDynamo(SCRIPT));
  const knobs = new Map(ROUTER_KNOBS.map((knob) => [knob.flag, knob]));
  for (const option of options) {
    if (option.flags.some((flag) => NO_KNOBS.has(flag))) continue;
    const knob = option.flags.map((flag) => knobs.get(flag)).find((found) => found !== undefined);
    expect(knob, option.flags.join(" ")).toBeDefined();
    expect(knob?.default ?? null, option.flags.join(" ")).toBe(option.default);
    if (knob !== undefined) knobs.delete(knob.flag);
  }
  // Options of the frontend itself, not of its router.
  expect([...knobs.keys()]).toEqual(["--serve-indexer"]);
  const mode = options.find((option) => option.flags.includes("--router-mode"));
  expect([...(mode?.choices ?? [])].sort()).toEqual([...ROUTER_MODES].sort());
});

type Settings = Readonly<Record<string, unknown>>;

const files = mkdtempSync(join(tmpdir(), "router-knobs-"));
const keyFile = join(files, "key");
const policyFile = join(files, "policy.yaml");
const keyed = { trackingHash: "keyed-xxh3-v1", trackingKeyFile: keyFile, trackingKeyId: "first" };

/** Values that the schema cannot tell. */
const MEANT: Partial<Record<RouterKnob["key"], unknown>> = {
  trackingKeyFile: keyFile,
  trackingKeyId: "first",
  policyConfig: policyFile,
  // Lower ones send every request away.
  activePrefillTokensThreshold: 100_000,
};

/** What an option is of no use without. */
const WITH: Partial<Record<RouterKnob["key"], (value: unknown) => Settings>> = {
  sessionAffinityMode: () => ({ sessionAffinityTtlSecs: 1 }),
  trackingHash: () => keyed,
  trackingKeyFile: () => keyed,
  trackingKeyId: () => keyed,
  ttlSecs: () => ({ kvEvents: false }),
  approximateCachePolicy: () => ({ kvEvents: false }),
};

/** Every value of an option other than its default; of a number one. */
function valuesOf(knob: RouterKnob): unknown[] {
  if (knob.key in MEANT) return [MEANT[knob.key]];
  const schema = routerSchema.shape[knob.key];
  if (typeof knob.default === "boolean") return [!knob.default];
  const { enum: words } = z.toJSONSchema(schema, {
    io: "input",
    unrepresentable: "any",
  }) as z.core.JSONSchema.BaseSchema;
  if (words !== undefined) return words.filter((word) => word !== knob.default);
  const fits = [0.5, 1, 2].filter((value) => value !== knob.default && schema.safeParse(value).success);
  expect(fits, `a value of router.${knob.key}`).not.toEqual([]);
  return fits.slice(0, 1);
}

/** Some options are for prefill and decode workers only, some for others only. */
const SHAPES = {
  disaggregated: [
    { role: "prefill", replicas: 1 },
    { role: "decode", replicas: 1 },
  ],
  aggregated: [{ role: "aggregated", replicas: 1 }],
} as const;
type Shape = keyof typeof SHAPES;
const FACTS = { discovery: "file", events: "zmq" } as const;

function configOf(shape: Shape, router: Settings) {
  return { cluster: { nodes: 1, gpusPerNode: SHAPES[shape].length }, pools: SHAPES[shape], router };
}

function isAccepted(shape: Shape, router: Settings): boolean {
  try {
    parseConfig({ target: "local", engine: "mocker", model: "Qwen/Qwen3-8B", ...configOf(shape, router) });
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** All values of all options, in as few routers as agree with each other. */
function routers(): Record<Shape, Settings[]> {
  const found: Record<Shape, Settings[]> = { disaggregated: [], aggregated: [] };
  const place = (shape: Shape, wanted: Settings): boolean => {
    const agrees = (router: Settings) =>
      Object.entries(wanted).every(([key, one]) => !(key in router) || router[key] === one) &&
      isAccepted(shape, { ...router, ...wanted });
    if (!isAccepted(shape, wanted)) return false;
    const at = found[shape].findIndex(agrees);
    found[shape].splice(at < 0 ? found[shape].length : at, 1, { ...found[shape][at], ...wanted });
    return true;
  };
  for (const knob of ROUTER_KNOBS)
    for (const value of valuesOf(knob)) {
      const wanted: Settings = { ...WITH[knob.key]?.(value), [knob.key]: value };
      const isPlaced = place("disaggregated", wanted) || place("aggregated", wanted);
      expect(isPlaced, `router ${JSON.stringify(wanted)} is accepted`).toBe(true);
    }
  return found;
}

describe.each(Object.entries(routers()))(
  "a frontend of %s workers starts, and answers, with",
  (shape, all) => {
    const planned = (router: Settings) => new TestDeployment(configOf(shape as Shape, router), FACTS);
    // Workers that publish what they have cached, for all of them.
    const deployment = planned({});
    const { machine, name } = deployment;
    beforeAll(async () => {
      writeFileSync(keyFile, "k".repeat(32), { mode: 0o600 });
      writeFileSync(policyFile, "router: {}\n");
      await deployment.up();
    });
    afterAll(() => deployment.close());

    test.each(all.map((router) => [Object.keys(router).join(", "), router] as const))(
      "%s",
      async (_, router) => {
        const other = planned(router);
        try {
          await machine.must("local apply", deployment.programsSpec(other.unit("frontend-0")));
        } finally {
          other.close();
        }
        await machine.must("ready", deployment.readySpec());
        const [{ pid } = { pid: 0 }] = processesOf(machine.nodeDirectory(name)).filter(
          ({ command }) => command === "frontend-0",
        );
        const told = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        for (const { key, flag, default: usual } of ROUTER_KNOBS)
          if (key in router && router[key] !== usual)
            expect(told, key).toContain(router[key] === false ? flag.replace(/^--/, "--no-") : flag);
      },
    );
  },
);

afterAll(() => rmSync(files, { recursive: true, force: true }));
