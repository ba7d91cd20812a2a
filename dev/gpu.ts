/**
 * `npx tsx dev/gpu.ts OUT`: makes the bundle that `dev/gpu/measure.py` runs on a machine with GPUs, where
 * neither Node.js nor SkyPilot is needed: rendered recipes, the nodes' files, the scripts, and what to
 * measure.
 */
import { copyFileSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { json, verb } from "../cli/command";
import { exitCodes, runTool } from "../cli/commandLine";
import { ENGINES, isSimulated, usualEngine } from "../engines";
import { packageRoot } from "../lib/root";
import { copyRuntime } from "../lib/runtimeFiles";
import { parseConfig } from "../plan/config";
import { plan } from "../plan/plan";
import { rolloutOf } from "../plan/rollout";
import type { ProgramPlan } from "../plan/types";
import { unitsOf } from "../plan/units";
import { recipeText } from "../sky/task";
import { type Layout, layoutsFor, quicker, type Step } from "./gpu/layouts";

interface Options {
  readonly engine: string;
  readonly accelerator: string;
  readonly quick: boolean;
  readonly json: boolean;
}

/** An entry of `bundle.json`, for `measure.py`. */
interface Entry {
  readonly id: string;
  readonly name: string;
  readonly recipe: string;
  readonly port: number;
  readonly gpus: number;
  /** Workers that have to be registered. */
  readonly workers: number;
  /** Base URLs of the frontends on the first node, with its address as a placeholder. */
  readonly frontends: readonly string[];
  readonly steps: readonly Step[];
  /** What it is changed to, in the order of the changes, by name. */
  readonly variants: Readonly<Record<string, readonly UnitOfNode[]>>;
  /** Of a start; a layout is left out if no more than this is left. */
  readonly longestStart: number;
}

/** The programs of a unit on a node, as its agent is given them. */
interface UnitOfNode {
  readonly node: number;
  readonly unit: string;
  readonly role: string;
  readonly programs: readonly ProgramPlan[];
}

const MODEL = "Qwen/Qwen3-8B";
/** Real engines fill the model's shape with random weights: its speed does not depend on them. */
const RANDOM_WEIGHTS = ["--load-format", "dummy"];
const LONGEST_START_SECONDS = 150;

/** A layout's recipe, and its entry. */
function render(layout: Layout, options: Options): { readonly entry: Entry; readonly text: string } {
  const { id, name, nodes = 1, gpusPerNode = 2, steps, variants = {} } = layout;
  const { config, planned, cluster } = planOf(layout, options);
  const { aggregated, prefill, decode } = planned.expectedWorkers;
  const { port } = planned.endpoint;
  const text = recipeText({ cluster, config, endpointPort: port, standalone: true }, "./runtime");
  const changed = Object.entries(variants).map(
    ([variant, settings]) => [variant, unitsOfNodes({ ...layout, ...settings }, options)] as const,
  );
  const entry = {
    ...{ id, name, recipe: `${id}.sky.yaml`, port },
    ...{ gpus: nodes * gpusPerNode, workers: aggregated + prefill + decode },
    frontends: rolloutOf(config, planned)?.frontends ?? [],
    steps: options.quick ? steps.map(quicker) : steps,
    variants: Object.fromEntries(changed),
    longestStart: LONGEST_START_SECONDS,
  };
  return { entry, text };
}

function planOf(layout: Layout, options: Options) {
  const { nodes = 1, gpusPerNode = 2, workersPerGpu = 1, pools, router, engineArgs = [] } = layout;
  const isReal = !isSimulated(options.engine);
  const config = parseConfig({
    model: MODEL,
    engine: options.engine,
    cluster: { nodes, gpusPerNode, workersPerGpu, accelerator: options.accelerator },
    pools: isReal ? pools : pools.map(withOwnFlags),
    router,
    engineArgs: isReal ? [...RANDOM_WEIGHTS, ...engineArgs] : [],
  });
  const planned = plan(config, { discovery: "etcd", events: "nats" });
  const [cluster] = planned.clusters;
  if (cluster === undefined) throw new Error("a layout is one cluster");
  return { config, planned, cluster };
}

/**
 * A real engine's flags are nothing to the simulated one, but it too has to be started anew for others. It
 * has no GPU's memory.
 */
function withOwnFlags(pool: Layout["pools"][number]): Layout["pools"][number] {
  const { engineArgs, gpuMemoryFraction: _, ...rest } = pool;
  return Array.isArray(engineArgs) ? { ...rest, engineEnv: { FLAGS: engineArgs.join(" ") } } : rest;
}

function unitsOfNodes(layout: Layout, options: Options): UnitOfNode[] {
  return unitsOf(planOf(layout, options).cluster).flatMap(({ name: unit, role, nodes }) =>
    nodes.map(({ rank, programs }) => ({ node: rank, unit, role, programs })),
  );
}

function make(out: string, options: Options): void {
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  copyRuntime(join(out, "runtime"));
  const scripts = join(packageRoot(), "dev", "gpu");
  for (const file of readdirSync(scripts).filter((one) => /\.(py|json)$/.test(one)))
    copyFileSync(join(scripts, file), join(out, file));
  const made = layoutsFor(options.engine).map((layout) => render(layout, options));
  for (const { entry, text } of made) writeFileSync(join(out, entry.recipe), text);
  const layouts = made.map(({ entry }) => entry);
  writeFileSync(join(out, "bundle.json"), JSON.stringify({ model: MODEL, layouts }, undefined, 1));
  if (options.json) console.log(JSON.stringify({ layouts }, undefined, 2));
  else for (const { id, name } of layouts) console.log(`${id}  ${name}`);
}

runTool(
  verb(
    "npx tsx dev/gpu.ts",
    "Makes a bundle that measures layouts on the GPUs of one machine: docs/gpu.md says how it is run there.",
    exitCodes({ ok: "the bundle is there" }),
  )
    .argument("<out>", "directory for it")
    .option("--engine <name>", ENGINES.join(", "), usualEngine("sky"))
    .option("--accelerator <name>", "SkyPilot's name of the GPUs", "H200")
    .option("--quick", "seconds instead of minutes, to rehearse", false)
    .addOption(json("{layouts:[{id,name,recipe,port,gpus,workers,steps}]}"))
    .action(make),
);
