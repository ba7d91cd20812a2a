/** Every planned command of a real engine, parsed by that engine's own parser: `npm run test:engines`. */

import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { planStack } from "../../cli/plannedStack";
import { readProject, stacksWithFiles } from "../../cli/pulumi/project";
import { size } from "../../cli/size/size";
import type { DeploymentConfig } from "../../config/deployment";
import type { FlagValues } from "../../config/flags";
import { NO_PARSER } from "../../config/names";
import { ConfigError } from "../../config/problems";
import { reservedVariable } from "../../config/reservedVariables";
import { engines } from "../../engines";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { type DeploymentPlan, type ProgramPlan, programsOf } from "../../plan/types";
import { type Deployment, SERVICES } from "../unit/planShapes";
import { sizeOptions, sizeRecords } from "../unit/sizeAsked";
import { deploymentOf, simulatedDeployment } from "./deployments";
import { DYNAMO_PROGRAMS, EngineParser, PARSED_ENGINES, type ParsedEngine } from "./parser";

/** Whose flags each engine's parser tells. */
const PROGRAMS = {
  sglang: ["sglang", ...DYNAMO_PROGRAMS],
  vllm: ["vllm"],
  trtllm: ["trtllm"],
} as const;

const ADDRESS_OR_RANK =
  /_(IP|ADDR|HOST|HOSTNAME|PORT)$|(^|_)(RANK|RANK_LOCAL|WORLD_SIZE|DP_SIZE)$(?<!_(PER|SLOW)_RANK)/;

/** Those of what no plan starts: a store of Mooncake, other side channels, SGLang's gRPC server and tests. */
const HARMLESS = new Set([
  ...["MOONCAKE_LOCAL_HOSTNAME", "MOONCAKE_MASTER_METRICS_PORT", "MOONCAKE_REQUESTER_LOCAL_HOSTNAME"],
  ...["VLLM_EC_SIDE_CHANNEL_HOST", "VLLM_EC_SIDE_CHANNEL_PORT"],
  ...["VLLM_P2P_SIDE_CHANNEL_HOST", "VLLM_P2P_SIDE_CHANNEL_PORT"],
  ...["SGLANG_GRPC_PORT", "SGLANG_TEST_SCRIPTED_RUNTIME_IPC_ADDR"],
  // A switch.
  "SGLANG_DISAGGREGATION_FORCE_QUERY_PREFILL_DP_RANK",
]);

interface Planned {
  readonly config: DeploymentConfig;
  readonly plan: DeploymentPlan;
}

/** Number of valid random deployments per engine. */
const RUNS = 150;

const stacks = stacksWithFiles(readProject(packageRoot())).map((stack) => ({
  stack,
  ...planStack(stack, packageRoot()),
}));
const stacksOf = (engine: ParsedEngine) => stacks.filter(({ config }) => config.engine === engine);

const ROLES: Readonly<Record<string, string>> = {
  aggregated: "agg",
  prefill: "prefill",
  decode: "decode",
  encode: "encode",
};

/** The processes of each replica of a plan. */
function replicasOf({ clusters }: DeploymentPlan): ProgramPlan[][] {
  return clusters.flatMap(({ nodes }) => {
    const replicas = new Map<string, ProgramPlan[]>();
    for (const program of nodes.flatMap(({ programs }) => programs)) {
      if (ROLES[program.role] === undefined) continue;
      const key = `${program.role} ${program.replica}`;
      replicas.set(key, [...(replicas.get(key) ?? []), program]);
    }
    return [...replicas.values()];
  });
}

/** The engine accepts every command, and interprets it as planned. */
async function check(parser: EngineParser, { config, plan: planned }: Planned): Promise<void> {
  for (const replica of replicasOf(planned)) {
    const gpus = replica.reduce((sum, program) => sum + program.gpus.length, 0);
    const world = replica.find(({ mpi }) => mpi?.worker !== undefined);
    if (world !== undefined) {
      await checkWorld(parser, config, replica, world);
      continue;
    }
    for (const program of replica) {
      const answer = await parser.ask(program);
      // Adds the command to the failure message.
      expect({ command: program.command.join(" "), ...answer }).toEqual({
        command: program.command.join(" "),
        facts: {
          processes: program.gpus.length,
          world: gpus,
          ...blockSizeOf(config),
          role: ROLES[program.role],
          publishesKvEvents: publishes(config, program),
          hostCacheGB: hostCacheOf(config, program),
          ...parsersOf(config, program),
        },
      });
    }
  }
}

/** One command for a whole MPI world, with as many ranks as the engine expects and as there are GPUs. */
async function checkWorld(
  parser: EngineParser,
  config: DeploymentConfig,
  replica: readonly ProgramPlan[],
  leader: ProgramPlan,
): Promise<void> {
  const gpus = replica.map((program) => program.gpus.length);
  const world = gpus.reduce((sum, count) => sum + count, 0);
  const flagOf = (flag: string) => leader.command[leader.command.indexOf(flag) + 1];
  expect(flagOf("-n")).toBe(String(world));
  const slots = flagOf("--host")
    ?.split(",")
    .map((host) => Number(host.split(":").at(-1)));
  expect(slots).toEqual(gpus);
  expect(replica.filter((program) => program !== leader).map(({ command }) => command)).toEqual(
    gpus.slice(1).map(() => ["orted"]),
  );
  const { facts } = await parser.ask(leader);
  expect(facts).toMatchObject({
    ...{ world, ...blockSizeOf(config), role: ROLES[leader.role] },
    hostCacheGB: hostCacheOf(config, leader),
    ...parsersOf(config, leader),
  });
}

/** Tokens per block: the configured size, else the engine's choice. */
function blockSizeOf({ router: { blockSize } }: DeploymentConfig): { blockSize: unknown } {
  return { blockSize: blockSize ?? expect.toSatisfy((chosen) => chosen === null || chosen > 0) };
}

/** Whether the command enables KV events: if it should, and the worker supports it. */
function publishes({ router }: DeploymentConfig, { role, command }: ProgramPlan): boolean {
  return router.kvEvents && role !== "decode" && !command.includes("--headless");
}

/** Host memory for each GPU's blocks: SGLang takes whole GB. Decode workers keep no prefixes. */
function hostCacheOf({ engine, kvOffload: { hostMemoryGB } }: DeploymentConfig, { role }: ProgramPlan) {
  if (hostMemoryGB === undefined || role === "decode") return null;
  return expect.closeTo(engine === "sglang" ? Math.ceil(hostMemoryGB) : hostMemoryGB, 6);
}

/** The parsers that the frontend is told: by the processes that answer it. */
function parsersOf(config: DeploymentConfig, { role, command, name }: ProgramPlan) {
  const answers =
    !["prefill", "encode"].includes(role) &&
    !command.includes("--headless") &&
    !(config.engine === "sglang" && name.includes("-rank"));
  const named = (parser: string) => (answers && parser !== NO_PARSER ? parser : null);
  return { reasoningParser: named(config.reasoningParser), toolCallParser: named(config.toolCallParser) };
}

function tryPlan(input: Deployment): Planned | undefined {
  try {
    const config = parseConfig(input);
    return { config, plan: plan(config, SERVICES) };
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}

/** `--tensor-parallel-size` → `--tensro-parallel-size`: two neighbouring letters are swapped. */
function mistyped(flag: string): string {
  for (let at = flag.length - 2; at > 2; at--) {
    const [a, b] = [flag.charAt(at), flag.charAt(at + 1)];
    if (/[a-z]/.test(a) && /[a-z]/.test(b) && a !== b) return flag.slice(0, at) + b + a + flag.slice(at + 2);
  }
  throw new Error(`nothing to mistype in ${flag}`);
}

/** @param seen Flags, each with a program whose command has it. */
async function refusesMistyped(parser: EngineParser, seen: ReadonlyMap<string, ProgramPlan>): Promise<void> {
  expect(seen.size).toBeGreaterThan(5);
  for (const [flag, program] of seen) {
    const wrong = mistyped(flag);
    const command = program.command.map((argument) => (argument === flag ? wrong : argument));
    const { refused } = await parser.ask({ ...program, command });
    expect(refused, `${wrong} was taken`).toBeDefined();
  }
}

/** One of each, since importing an engine takes most of a minute. */
const parsers = new Map<ParsedEngine, EngineParser>();
function parserOf(engine: ParsedEngine): EngineParser {
  const parser = parsers.get(engine) ?? new EngineParser(engine);
  parsers.set(engine, parser);
  return parser;
}
afterAll(async () => {
  for (const parser of parsers.values()) await parser.close();
});

describe.each(PARSED_ENGINES)("%s", (engine) => {
  let parser: EngineParser;
  /** Every planned flag, with one command that has it. */
  const seen = new Map<string, ProgramPlan>();
  const note = ({ plan: planned }: Planned) => {
    for (const program of replicasOf(planned).flat())
      for (const argument of program.command.slice(program.mpi?.worker ?? 0))
        if (argument.startsWith("--")) seen.set(argument, program);
  };
  beforeAll(() => {
    parser = parserOf(engine);
  });

  it.each(stacksOf(engine))(
    "takes every command of the stack $stack, and uses every GPU of it",
    async (stack) => {
      note(stack);
      await check(parser, stack);
    },
  );

  it("takes every command of the layouts that `size` offers", async () => {
    const offered = sizeRecords.filter(({ question: { pairs } }) => pairs[0]?.backend === engine);
    for (const { question, said } of offered) {
      const { model } = question;
      const gpus = "gpus" in question.need ? String(question.need.gpus) : "16";
      const asked = sizeOptions({ model, gpus, engine: [engine] });
      const sources = { predict: async () => said, costs: async () => undefined, say: () => undefined };
      const { layouts } = await size(asked, sources);
      expect(layouts.length).toBeGreaterThan(0);
      for (const { parsed, plan: planned } of layouts) await check(parser, { config: parsed, plan: planned });
    }
  });

  it("takes every command of random deployments, and uses every GPU of them", async () => {
    let planned = 0;
    await fc.assert(
      fc.asyncProperty(deploymentOf(engine), async (input) => {
        const deployment = tryPlan(input);
        fc.pre(deployment !== undefined);
        if (deployment === undefined) return;
        planned++;
        note(deployment);
        await check(parser, deployment);
      }),
      { numRuns: RUNS, maxSkipsPerRun: 20 },
    );
    expect(planned).toBeGreaterThanOrEqual(RUNS);
  });

  it.each(PROGRAMS[engine])("and Dynamo have the flags of %s that are known here", async (program) => {
    const { table } = await parser.flags(program);
    await expect(`${JSON.stringify(table, null, 2)}\n`).toMatchFileSnapshot(
      program === "frontend"
        ? join(packageRoot(), "config", "flags", "frontend.json")
        : join(packageRoot(), "engines", program, "flags.json"),
    );
    const kinds: readonly FlagValues[] = ["none", "one", "JSON", "at most one", "several", "exits"];
    for (const [flag, kind] of Object.entries(table?.["flags"] ?? {})) expect(kinds, flag).toContain(kind);
  });

  it("reads no address and no rank of variables that a user may set", async () => {
    const { variables = [] } = await parser.flags(engine);
    expect(variables.length > 100).toBe(engine !== "trtllm");
    const told = variables.filter((name) => ADDRESS_OR_RANK.test(name));
    expect(told.filter((name) => reservedVariable(name) === undefined && !HARMLESS.has(name))).toEqual([]);
  });

  it("has the connectors that are known here, and no other", async () => {
    const { connectors = [] } = await parser.flags(engine);
    const { connectors: offered = {}, refused = {} } = engines[engine].transfer ?? {};
    expect(connectors.length > 10).toBe(engine === "vllm");
    expect(connectors.filter((name) => !(name in offered) && !(name in refused))).toEqual([]);
    if (connectors.length > 0) expect(connectors).toEqual(expect.arrayContaining(Object.keys(offered)));
  });

  it("refuses every flag of the plans when it is mistyped", () => refusesMistyped(parser, seen));
});

describe.each(DYNAMO_PROGRAMS)("Dynamo's %s", (name) => {
  const parser = () => parserOf("sglang");

  it("takes every command of the stacks and of random deployments, and refuses each flag mistyped", async () => {
    const plans = stacks.map(({ plan: planned }) => planned);
    for (const input of fc.sample(fc.oneof(simulatedDeployment, deploymentOf("sglang")), RUNS)) {
      const drawn = tryPlan(input);
      if (drawn !== undefined) plans.push(drawn.plan);
    }
    expect(plans.length).toBeGreaterThan(stacks.length + RUNS / 3);
    const seen = new Map<string, ProgramPlan>();
    for (const program of plans.flatMap(programsOf)) {
      if (program.command[2] !== `dynamo.${name}`) continue;
      for (const argument of program.command) if (argument.startsWith("--")) seen.set(argument, program);
      expect([program.command, await parser().ask(program)]).toEqual([program.command, {}]);
    }
    await refusesMistyped(parser(), seen);
  });
});

/** The multi-node recipe of the original SkyPilot demo: TP 8 and DP 2 on two nodes with eight GPUs. */
const RECIPE = [
  ...["python3", "-m", "dynamo.sglang", "--model-path", "Qwen/Qwen3-8B", "--tp", "8", "--dp-size", "2"],
  ...["--enable-dp-attention", "--nnodes", "2", "--dist-init-addr", "{{HEAD_IP}}:5000"],
];

describe("the number of ranks", () => {
  let parser: EngineParser;
  beforeAll(() => {
    parser = parserOf("sglang");
  });

  it("shows that half of the GPUs are idle where --tp-size is taken for a node's share", async () => {
    const answers = await Promise.all(
      ["0", "1"].map((rank) => parser.ask({ command: [...RECIPE, "--node-rank", rank], env: {} })),
    );
    expect(answers.map(({ facts }) => facts?.processes)).toEqual([4, 4]);
  });

  it("is that of all GPUs for the same shape as the plan writes it", async () => {
    const multi = tryPlan({
      model: "Qwen/Qwen3-8B",
      cluster: { nodes: 2 },
      pools: [{ role: "aggregated", tensorParallel: 8, dataParallel: 2 }],
    });
    const programs = multi === undefined ? [] : replicasOf(multi.plan).flat();
    const answers = await Promise.all(programs.map((program) => parser.ask(program)));
    expect(answers.map(({ facts }) => facts?.processes)).toEqual([8, 8]);
  });
});
