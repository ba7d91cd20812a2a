/** A stack for the lab never makes SkyPilot start an API server in the user's own home. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { labOf, type Machine } from "../../toolchain/labInfra";
import { KUBERNETES, SLURM } from "../../toolchain/labs";

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
    kubeconfig: undefined,
    ...changes,
  });
  const write = (path: string, text: string): void => {
    mkdirSync(dirname(join(home, path)), { recursive: true });
    writeFileSync(join(home, path), text);
  };

  it("is the lab where that runs", async () => {
    expect(await labOf(LAB, () => machine({ hasLab: true }))).toBe(SLURM);
  });

  it("is refused with the command that starts the lab where it is not up", async () => {
    await expect(labOf(LAB, () => machine())).rejects.toThrow(/is not up. Start it: npm run lab -- up/);
  });

  it("is refused where the lab is set up and its API server does not run", async () => {
    const asleep = machine({ hasLab: true, labAnswers: async () => false });
    await expect(labOf(LAB, () => asleep)).rejects.toThrow(/does not answer.*npm run lab -- up/);
  });

  it("is a cluster of the user's where they have one of this name", async () => {
    write(".slurm/config", "Host hpc\n  HostName 10.0.0.1\nHost other lab\n  HostName 10.0.0.2\n");
    expect(await labOf(LAB, () => machine())).toBeUndefined();
  });

  it("is what another API server makes of it", async () => {
    expect(await labOf(LAB, () => machine({ apiServer: "https://skypilot.example.com" }))).toBeUndefined();
    write(".sky/config.yaml", "api_server:\n  endpoint: https://skypilot.example.com\n");
    expect(await labOf(LAB, () => machine())).toBeUndefined();
  });

  it("is a context of the user's kubeconfig where the lab's Kubernetes is not up", async () => {
    const infra = [KUBERNETES.infra];
    await expect(labOf(infra, () => machine())).rejects.toThrow(
      /not up. Start it: npm run lab -- up --kubernetes/,
    );
    expect(await labOf(infra, () => machine({ hasLab: true }))).toBe(KUBERNETES);
    expect(await labOf(KUBERNETES.otherInfras ?? [], () => machine({ hasLab: true }))).toBe(KUBERNETES);
    write(".kube/config", "contexts:\n- name: other\n- name: lab\n");
    expect(await labOf(infra, () => machine())).toBeUndefined();
    const elsewhere = machine({ kubeconfig: join(home, "none") });
    await expect(labOf(infra, () => elsewhere)).rejects.toThrow(/context 'lab' of your kubeconfig/);
  });

  it("is one infra among others for a SkyPilot of the user's", async () => {
    expect(await labOf(["slurm/lab", "aws"], () => machine())).toBeUndefined();
    expect(await labOf(["slurm/laboratory"], () => machine())).toBeUndefined();
    expect(await labOf([], () => machine())).toBeUndefined();
  });
});
