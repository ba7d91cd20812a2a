/**
 * The router's options and the parsers in the configuration, compared with those of the installed Dynamo; and
 * a real frontend with each option.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, expect, test } from "vitest";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "../../config/parsers";
import { ROUTER_KNOBS, ROUTER_MODES, type RouterKnob } from "../../config/router";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { ensureToolchain } from "../../toolchain/index";
import { clientOf } from "./clients";
import { eventually, TestDeployment } from "./support";

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
  // All frontends of a deployment have the same options, so there is nobody to serve an index to the others:
  // each request then fails with 500 (`Indexer is offline`).
  "--use-remote-indexer",
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
  expect([...knobs.keys()]).toEqual([]);
  const mode = options.find((option) => option.flags.includes("--router-mode"));
  expect([...(mode?.choices ?? [])].sort()).toEqual([...ROUTER_MODES].sort());
});

const files = mkdtempSync(join(tmpdir(), "dsky-router-"));
writeFileSync(join(files, "key"), "k".repeat(32));
writeFileSync(
  join(files, "policies.yaml"),
  `
default_policy_family: all
uncached_isl_buckets: [{ min_tokens: 0, bucket: any }]
policy_classes: [{ name: one, policy_family: all, cache_bucket: any, quantum: 1 }]
`,
);

type Router = Readonly<Partial<Record<RouterKnob["key"] | "mode", unknown>>>;

/** Every option, at a value other than its default, in frontends whose options agree with each other. */
const FRONTENDS: readonly Router[] = [
  {},
  {
    minInitialWorkers: 1,
    sessionAffinityTtlSecs: 60,
    activeDecodeBlocksThreshold: 0.9,
    activePrefillTokensThreshold: 100_000,
    activePrefillTokensThresholdFrac: 10,
    kvOverlapScoreCredit: 0.5,
    kvOverlapScoreCreditDecay: 0.5,
    prefillLoadScale: 0.5,
    decodeActiveRequestWeight: 1,
    hostCacheHitWeight: 0.5,
    diskCacheHitWeight: 0.5,
    temperature: 0.5,
    replicaSync: true,
    trackingHash: "keyed-xxh3-v1",
    trackingKeyFile: join(files, "key"),
    trackingKeyId: "first",
    predictedTtlSecs: 5,
    queueThreshold: 4,
    queuePolicy: "wspt",
    eventThreads: 2,
  },
  { conditionalDisagg: true },
  {
    kvEvents: false,
    ttlSecs: 60,
    approximateCachePolicy: "lru",
    trackActiveBlocks: false,
    assumeKvReuse: false,
    trackPrefillTokens: false,
  },
  { loadAware: true },
  { sessionAffinityTtlSecs: 60, sessionAffinityMode: "soft", policyConfig: join(files, "policies.yaml") },
  { sharedCacheType: "hicache", sharedCacheMultiplier: 0.3 },
];

const facts = { discovery: "file", events: "zmq" } as const;

/** A deployment whose frontends have different options; one of its own plans each frontend. */
class Frontends {
  readonly deployment: TestDeployment;

  constructor(
    readonly routers: readonly Router[],
    pools: readonly { readonly role: string }[],
  ) {
    const base = {
      target: "local",
      engine: "mocker",
      model: "Qwen/Qwen3-8B",
      pools,
      frontend: { replicas: routers.length },
    };
    const planned = (index: number) => {
      const { clusters } = plan(parseConfig({ ...base, router: routers[index] }), facts);
      const found = clusters[0]?.nodes[0]?.programs.find(({ name }) => name === `frontend-${index}`);
      if (found === undefined) throw new Error(`no frontend ${index}`);
      return found;
    };
    this.deployment = new TestDeployment(base, facts, (program) =>
      program.role === "frontend" ? { ...program, command: planned(program.replica).command } : program,
    );
  }

  /** Waits until each frontend has answered. */
  async answer(): Promise<void> {
    await this.deployment.up();
    for (const { role, replica, ports } of this.deployment.cluster.nodes.flatMap(({ programs }) => programs))
      if (role === "frontend") await this.#answers(replica, ports["http"]);
  }

  async #answers(replica: number, port: number | undefined): Promise<void> {
    const client = clientOf({ endpoint: `http://${this.deployment.address(0)}:${port}` });
    const ask = async () => {
      const answer = await client.chat.completions.create({
        model: this.deployment.plan.model,
        messages: [{ role: "user", content: "Hello?" }],
        max_tokens: 4,
      });
      return answer.usage?.completion_tokens === 4;
    };
    // Whoever asks a direct router names the worker.
    const list = async () => (await client.models.list()).data.length === 1;
    const router = this.routers[replica];
    await eventually(router?.mode === "direct" ? list : ask, 90).catch((error: unknown) => {
      throw new Error(`with ${JSON.stringify(router)}: ${String(error)}`);
    });
  }
}

const DISAGGREGATED = [{ role: "prefill" }, { role: "decode" }];
const DEPLOYMENTS = [
  new Frontends(FRONTENDS, DISAGGREGATED),
  new Frontends([{ trackOutputBlocks: true }], [{ role: "aggregated" }]),
  new Frontends(
    ROUTER_MODES.filter((mode) => mode !== "kv").map((mode) => ({ mode })),
    DISAGGREGATED,
  ),
];

afterAll(() => {
  for (const { deployment } of DEPLOYMENTS) deployment.close();
  rmSync(files, { recursive: true, force: true });
});

test("a frontend starts and answers with each option", async () => {
  const tried = new Set(DEPLOYMENTS.flatMap(({ routers }) => routers.flatMap(Object.keys)));
  expect(ROUTER_KNOBS.map(({ key }) => key).filter((key) => !tried.has(key))).toEqual([]);
  for (const frontends of DEPLOYMENTS) {
    await frontends.answer();
    // Each one watches files, of which a machine lets a user watch a limited number.
    frontends.deployment.close();
  }
});
