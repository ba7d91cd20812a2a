/** Engine, plugins, language host and driver communicate on loopback regardless of a site's proxy. */
import { spawn } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../toolchain/index";
import { RecordingProxy } from "../recordingProxy";
import { stackCommand } from "../tools";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "dsky-proxy-"));
const project = join(scratch, "project");
const proxy = new RecordingProxy();

beforeAll(async () => {
  await proxy.open();
  cpSync(join(root, "test", "engine", "fixtures", "stack-program"), project, { recursive: true });
  symlinkSync(join(root, "node_modules"), join(project, "node_modules"));
  writeFileSync(join(project, "Pulumi.dev.yaml"), "config:\n  stack-fixture:word: plain\n");
});
afterAll(() => {
  proxy.close();
  rmSync(scratch, { recursive: true, force: true });
});

async function stack(verb: string) {
  const environment = Object.entries(proxy.environment).filter(([name]) => !name.startsWith("PULUMI_"));
  const own = { DYNAMO_SKY_STATE: join(scratch, "state"), PULUMI_HOME: join(scratch, "home") };
  const command = [
    join(root, "toolchain", "bootstrap.mjs"),
    ...stackCommand(verb),
    "--stack",
    "dev",
    "--cwd",
    project,
  ];
  const child = spawn("node", command, {
    env: { ...Object.fromEntries(environment), ...own },
    stdio: "pipe",
  });
  const code = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

describe("with a proxy for everything and no exemption", () => {
  it.each(["preview", "up", "refresh", "drift", "destroy"])(
    "%s asks nothing on loopback of the proxy",
    async (verb) => {
      const { code, stderr } = await stack(verb);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      expect(proxy.asked.filter((asked) => /localhost|127\.|::1/.test(asked))).toEqual([]);
    },
  );

  it("hands the exemptions to plain `pulumi`", async () => {
    const { stdout } = await stack("env");
    for (const name of ["no_proxy", "NO_PROXY"])
      expect(stdout.replaceAll("'", "")).toContain(`export ${name}=localhost,127.0.0.1,::1,127.0.0.0/8\n`);
  });
});
