/** A stack for the lab never makes SkyPilot start an API server in the user's own home. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isLab, type Machine } from "../../toolchain/labInfra";

const LAB = ["slurm/lab"];

describe("slurm/lab", () => {
  let home = "";
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "lab-infra-"));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const machine = (changes: Partial<Machine> = {}): Machine => ({
    hasLab: false,
    labAnswers: async () => true,
    home,
    apiServer: undefined,
    ...changes,
  });
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  };

  it("is the lab where that runs", async () => {
    expect(await isLab(LAB, machine({ hasLab: true }))).toBe(true);
  });

  it("is refused with the command that starts the lab where it is not up", async () => {
    await expect(isLab(LAB, machine())).rejects.toThrow(/is not up. Start it: npm run lab -- up/);
  });

  it("is refused where the lab is set up and its API server does not run", async () => {
    const asleep = machine({ hasLab: true, labAnswers: async () => false });
    await expect(isLab(LAB, asleep)).rejects.toThrow(/does not answer.*npm run lab -- up/);
  });

  it("is a cluster of the user's where they have one of this name", async () => {
    write(".slurm/config", "Host hpc\n  HostName 10.0.0.1\nHost other lab\n  HostName 10.0.0.2\n");
    expect(await isLab(LAB, machine())).toBe(false);
  });

  it("is what another API server makes of it", async () => {
    expect(await isLab(LAB, machine({ apiServer: "https://skypilot.example.com" }))).toBe(false);
    write(".sky/config.yaml", "api_server:\n  endpoint: https://skypilot.example.com\n");
    expect(await isLab(LAB, machine())).toBe(false);
  });

  it("is one infra among others for a SkyPilot of the user's", async () => {
    expect(await isLab(["slurm/lab", "aws"], machine())).toBe(false);
    expect(await isLab(["slurm/laboratory"], machine())).toBe(false);
    expect(await isLab([], machine())).toBe(false);
  });
});
