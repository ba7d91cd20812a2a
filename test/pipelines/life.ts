/** A pipeline's steps with the expected content of each page: the same on this machine as on SkyPilot. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import type { PipelineMachine } from "./machine";

/** A page's data about a stack. */
export interface Told {
  readonly gpus: string;
  /** From the column `$ per hour`. */
  readonly price: string;
}

export class PipelineLife {
  constructor(
    private readonly machine: PipelineMachine,
    readonly stack: string,
    private readonly told: Told,
  ) {}

  /** The comment of a pull request for a stack that does not exist yet. @returns The page. */
  async preview(policyPack: string): Promise<string> {
    const file = join(this.machine.directory, "preview.md");
    const { status, stdout, stderr } = await this.machine.pipeline(
      ...["preview", "--stack", this.stack, "--policy-pack", policyPack, "--output", file],
    );
    expect({ status, stdout }, stderr).toEqual({ status: 0, stdout: "" });
    const page = readFileSync(file, "utf8");
    expect(page).toMatch(
      new RegExp(`^<!-- dynamo-sky:preview:${this.stack} -->\n\n### ${this.stack}: \\d+ to create\n`),
    );
    const { gpus, price } = this.told;
    expect(page).toContain(`| GPUs | none | ${gpus} |\n| $ per hour | none | ${price} |`);
    expect(page).toContain("| ➕ create | `dynamo-ready-check` |");
    return page;
  }

  /** @returns The summary, with the endpoint and the smoke test. */
  async deploy(changed: RegExp = /\d+ created/): Promise<string> {
    const { status, stdout, stderr } = await this.machine.pipeline("deploy", "--stack", this.stack);
    expect(status, `${stderr}${stdout}`).toBe(0);
    expect(stdout).toContain(`### ${this.stack} is deployed`);
    const { gpus, price } = this.told;
    const cells = ["`https://[\\d.]+:\\d+`", "`Qwen/Qwen3-8B`", gpus, price.replace("$", "\\$")];
    expect(stdout).toMatch(new RegExp(`\\| ${cells.join(" \\| ")} \\| ${changed.source}`));
    expect(stdout).toMatch(
      /✅ Smoke test: `Qwen\/Qwen3-8B` answered, with its key: \d+ tokens, the first after \d+ ms/,
    );
    return stdout;
  }

  async isInSync(): Promise<void> {
    expect(await this.machine.pipeline("drift", "--stack", this.stack)).toMatchObject({
      status: 0,
      stdout: `<!-- dynamo-sky:drift:${this.stack} -->\n\n### ${this.stack} is in sync\n`,
    });
  }

  /** After a loss: drift reports it by its exit code and its page, and clients get no response. */
  async hasLost(resource: string, reason: RegExp): Promise<void> {
    const { status, stdout, stderr } = await this.machine.pipeline("drift", "--stack", this.stack);
    expect(status, `${stderr}${stdout}`).toBe(2);
    expect(stdout).toContain(`### ${this.stack} is not in sync`);
    expect(stdout).toMatch(new RegExp(`\\| 🔴 lost \\| \`${resource}\` \\| .*${reason.source}.* \\|`));
    expect(await this.machine.pipeline("smoke", "--stack", this.stack)).toMatchObject({
      status: 1,
      stdout: expect.stringContaining(`❌ Smoke test of ${this.stack} failed`),
    });
  }
}
