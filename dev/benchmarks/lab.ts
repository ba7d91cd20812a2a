/**
 * Time of a deployment on SkyPilot, compared with plain SkyPilot and the same recipe: on the lab, one after
 * the other.
 */

import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parse, stringify } from "yaml";
import { planStack } from "../../cli/plannedStack";
import { UsageProblem } from "../../cli/pulumi/problem";
import { readProject, stackFile } from "../../cli/pulumi/project";
import { renderStack } from "../../cli/recipe";
import { portHolder } from "../../lib/processes";
import { Progress } from "../../lib/progress";
import { programsOf } from "../../plan/types";
import { CLUSTER_SECRET } from "../../sky/taskSecrets";
import { packageRoot } from "../../toolchain/index";
import { SKY_ENVIRONMENT } from "../../toolchain/labLayout";
import { borrowLab } from "../lab/session";
import { installedSky } from "../lab/tools";
import { median, timed } from "./timing";

const STACK = "lab";
const CLUSTER = "dynamo-sky-benchmark";
const ANSWER_SECONDS = 300;
const PAUSE_MS = 250;

export interface LabRow {
  readonly what: string;
  readonly seconds: readonly number[];
}

/**
 * Measures on the lab with exclusive access: starts it if it is not running, and stops it afterwards.
 *
 * @param repeats Number of launches of each kind; the kinds alternate, so that other load affects both
 * equally.
 * @throws UsageProblem if something else uses one of the ports, UserError if the lab is not available.
 */
export async function labRows(repeats: number): Promise<LabRow[]> {
  requireFreePorts();
  return borrowLab("measuring on the lab", new Progress(), () => measure(repeats));
}

/** Ratio of the second row's median to the first one's. */
export function ratioOf([bare, up]: readonly LabRow[]): number {
  return median(up?.seconds ?? []) / median(bare?.seconds ?? []);
}

function requireFreePorts(): void {
  const { plan } = planStack(STACK, packageRoot());
  const programs = programsOf(plan);
  const taken = programs.flatMap(({ name, ports }) =>
    Object.values(ports).flatMap((port) => {
      const holder = portHolder("127.0.0.1", port);
      return holder === undefined ? [] : [`  ${port} (${name}): process ${holder.pid}, ${holder.command}`];
    }),
  );
  if (taken.length === 0) return;
  throw new UsageProblem(
    `Ports of stack ${STACK} are taken:\n${taken.join("\n")}\nEnd these, then run this again.`,
  );
}

async function measure(repeats: number): Promise<LabRow[]> {
  const scratch = mkdtempSync(join(tmpdir(), "dynamo-sky-benchmark-"));
  const seconds: Record<"bare" | "up" | "noop" | "preview" | "update" | "destroy" | "down", number[]> = {
    bare: [],
    up: [],
    noop: [],
    preview: [],
    update: [],
    destroy: [],
    down: [],
  };
  const project = makeProject(scratch);
  const bare = async (): Promise<void> => {
    seconds.bare.push(await bareLaunch(scratch));
    seconds.down.push(await sky("down", "-y", CLUSTER));
  };
  const ours = async (): Promise<void> => {
    seconds.up.push(await project.stack("up"));
    seconds.noop.push(await project.stack("up"));
    seconds.preview.push(await project.stack("preview"));
    project.setRouterMode("round-robin");
    seconds.update.push(await project.stack("up"));
    seconds.destroy.push(await project.stack("destroy"));
    project.setRouterMode("kv");
  };
  try {
    // The first launch on a machine downloads packages: it is not counted.
    await bareLaunch(scratch);
    await sky("down", "-y", CLUSTER);
    for (let run = 0; run < repeats; run++) {
      const inTurn = run % 2 === 0 ? [bare, ours] : [ours, bare];
      for (const work of inTurn) await work();
    }
  } finally {
    // Cleans up after a failure; either may not exist.
    await project.stack("destroy").catch(() => undefined);
    await sky("down", "-y", CLUSTER).catch(() => undefined);
    rmSync(scratch, { recursive: true, force: true });
  }
  return [
    { what: "bare `sky launch` of the recipe, to the first answer", seconds: seconds.bare },
    { what: "`pulumi up` of the same, to the first answer", seconds: seconds.up },
    { what: "no-op `up`", seconds: seconds.noop },
    { what: "`preview`", seconds: seconds.preview },
    { what: "in-place update (router mode), to the first answer", seconds: seconds.update },
    { what: "`destroy`", seconds: seconds.destroy },
    { what: "bare `sky down`", seconds: seconds.down },
  ];
}

/** A separate project with this repository's program and the lab's stack. */
function makeProject(scratch: string) {
  const file = join(scratch, `Pulumi.${STACK}.yaml`);
  const config = parse(readFileSync(stackFile(readProject(packageRoot()), STACK) ?? "", "utf8")) as {
    config: Record<string, unknown>;
  };
  // Without the gateway, whose keys and certificate a plain launch would need.
  const access = { "dynamo-sky:access": { gateway: false } };
  const write = (mode: string): void => {
    writeFileSync(
      file,
      stringify({ config: { ...config.config, ...access, "dynamo-sky:router": { mode } } }),
    );
  };
  write("kv");
  const main = join(packageRoot(), "index.ts");
  writeFileSync(join(scratch, "Pulumi.yaml"), stringify({ name: "benchmark", runtime: "nodejs", main }));
  const env = {
    ...process.env,
    DYNAMO_SKY_STATE: join(scratch, "state"),
    DYNAMO_SKY_ROOT: packageRoot(),
    PULUMI_CONFIG_PASSPHRASE: "benchmark",
  };
  return {
    setRouterMode: write,
    stack: (verb: string): Promise<number> =>
      timed("npm", ["run", "--silent", "stack", "--", verb, "--stack", STACK, "--cwd", scratch], {
        cwd: packageRoot(),
        env,
      }),
  };
}

function sky(...args: readonly string[]): Promise<number> {
  return timed(installedSky(), args, { cwd: packageRoot(), env: { ...process.env, ...SKY_ENVIRONMENT } });
}

/** From the command to the first chat response, as done by hand. */
async function bareLaunch(scratch: string): Promise<number> {
  const recipe = join(scratch, "recipe.sky.yaml");
  writeFileSync(recipe, renderStack(STACK, scratch));
  const started = performance.now();
  process.env[CLUSTER_SECRET] = randomBytes(32).toString("hex");
  await sky("launch", "-y", "-d", "-c", CLUSTER, "--secret", CLUSTER_SECRET, recipe);
  const { plan } = planStack(STACK, packageRoot());
  await untilAnswer(`http://127.0.0.1:${plan.endpoint.port}`, plan.model);
  return (performance.now() - started) / 1000;
}

/** @throws Error if no response with tokens arrives within 300 s. */
async function untilAnswer(endpoint: string, model: string): Promise<void> {
  const deadline = performance.now() + ANSWER_SECONDS * 1000;
  const body = JSON.stringify({ model, messages: [{ role: "user", content: "Say hello." }], max_tokens: 8 });
  const headers = { "content-type": "application/json" };
  for (;;) {
    const answer = await fetch(`${endpoint}/v1/chat/completions`, { method: "POST", headers, body }).then(
      (response) => response.text(),
      () => "",
    );
    if (/"completion_tokens":\s*[1-9]/.test(answer)) return;
    if (performance.now() > deadline)
      throw new Error(`${endpoint} did not answer within ${ANSWER_SECONDS} s`);
    await sleep(PAUSE_MS);
  }
}
