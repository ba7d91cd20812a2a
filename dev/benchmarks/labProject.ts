/** The project of the lab's benchmark: one deployment as `pulumi up` and as a plain recipe. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { deploymentOf, outputsOf } from "../../cli/deployment/running";
import { planStack } from "../../cli/plannedStack";
import { openStack } from "../../cli/pulumi/openStack";
import { readProject, stackFile } from "../../cli/pulumi/project";
import { renderStack } from "../../cli/recipe";
import { namedSettings } from "../../config/problems";
import type { ConfigInput } from "../../config/schema";
import type { DeploymentPlan } from "../../plan/types";
import { packageRoot } from "../../toolchain/index";
import { writeProject } from "./stacks";
import { type Endpoint, withKey } from "./streams";
import { timed } from "./timing";

/** The stack whose ports and infra are used. */
export const LAB_STACK = "lab";
/** The same without the gateway, whose keys and certificate a plain launch would have to bring. */
const BARE_STACK = "bare";
const DECODE_WORKERS = 2;

/** What a person changes between two operations. */
export interface Change {
  readonly mode?: "kv" | "round-robin";
  /** Of two when it comes up. */
  readonly decodeWorkers?: number;
}

export class LabProject {
  private readonly directory = mkdtempSync(join(tmpdir(), "dynamo-sky-benchmark-"));
  private readonly env = {
    DYNAMO_SKY_STATE: join(this.directory, "state"),
    DYNAMO_SKY_ROOT: packageRoot(),
    PULUMI_BACKEND_URL: `file://${join(this.directory, "state", "pulumi")}`,
    PULUMI_CONFIG_PASSPHRASE: "benchmark",
  };

  constructor() {
    mkdirSync(join(this.directory, "state", "pulumi"), { recursive: true });
    writeProject(this.directory, "benchmark");
    this.configure({});
  }

  configure({ mode = "kv", decodeWorkers = DECODE_WORKERS }: Change): void {
    const file = stackFile(readProject(packageRoot()), LAB_STACK) ?? "";
    const { config } = parse(readFileSync(file, "utf8")) as { config: Record<string, unknown> };
    const ours: Partial<ConfigInput> = {
      // Streams are open for seconds, as those of a real model are.
      engineArgs: ["--speedup-ratio", "0.1"],
      frontend: { port: 18000 },
      // Room for one more worker.
      cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100", allowIdleGpus: true },
      pools: [
        { role: "prefill", tensorParallel: 2 },
        { role: "decode", replicas: decodeWorkers, tensorParallel: 2 },
      ],
      router: { mode },
    };
    const write = (stack: string, access: ConfigInput["access"]): void =>
      writeFileSync(
        join(this.directory, `Pulumi.${stack}.yaml`),
        stringify({ config: { ...config, ...namedSettings({ ...ours, access }) } }),
      );
    // As by default, with the gateway and TLS: no limit that the load would meet.
    write(LAB_STACK, { requestsPerSecond: 1000, burst: 1000, connectionsPerKey: 1000 });
    write(BARE_STACK, { gateway: false });
  }

  /** Duration of the whole command, in seconds. @throws Error if it fails. */
  stack(verb: "up" | "preview" | "destroy"): Promise<number> {
    const words = ["run", "--silent", "stack", "--", verb, "--stack", LAB_STACK, "--cwd", this.directory];
    return timed("npm", [...words, ...(verb === "preview" ? [] : ["--yes"])], {
      cwd: packageRoot(),
      env: { ...process.env, ...this.env },
    });
  }

  async endpoint(): Promise<Endpoint> {
    const stack = await openStack({ projectDir: this.directory, stack: LAB_STACK, env: this.env });
    return withKey(deploymentOf(await outputsOf(stack)));
  }

  /** Path of the recipe of the same deployment, and its plan. */
  recipe(): { readonly path: string; readonly plan: DeploymentPlan } {
    const path = join(this.directory, "recipe.sky.yaml");
    writeFileSync(path, renderStack(BARE_STACK, this.directory));
    return { path, plan: planStack(BARE_STACK, this.directory).plan };
  }

  remove(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}
