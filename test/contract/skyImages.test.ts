/**
 * What SkyPilot demands of an image, by SkyPilot's own text: packages with an ssh server and rsync, Python,
 * and a user who is root or has sudo. What this project gives for it, and what its documentation says.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { APPLIED_ON, runsAsImageUser, takesRunOptions, UNSUPPORTED } from "../../config/infra";
import type { ConfigInput } from "../../config/schema";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { recipeText } from "../../sky/task";
import { skyAnswer } from "./skyAnswer";

interface Answer {
  /** Packages by where an image runs. */
  readonly installs: Readonly<Record<string, readonly string[]>>;
  /** Where SkyPilot fetches its own Python from. */
  readonly hosts: readonly string[];
  readonly endsWithSudo: readonly string[];
  readonly lastStep: string;
  readonly sudoOfRoot: string;
  readonly dockerRuns: readonly (string | null)[];
}

const MINE = "docker:registry.example.com/mine:1";
const ROOT = "--user=0 --env=HOME=/root";

/** How SkyPilot starts the container on a cloud's machine; undefined without one. */
const RUNS: readonly (readonly [title: string, sky: ConfigInput["sky"], options: string | undefined])[] = [
  ["NVIDIA's image on AWS", { infra: "aws" }, ROOT],
  ["NVIDIA's image on GCP, or on Kubernetes", { infra: ["gcp/us-central1", "k8s"] }, ROOT],
  ["NVIDIA's image wherever SkyPilot likes", {}, ROOT],
  ["an image of one's own", { infra: "lambda", image: MINE }, ROOT],
  [
    "options of one's own",
    { infra: "azure", config: { docker: { run_options: ["--ulimit=memlock=-1"] } } },
    `${ROOT} --ulimit=memlock=-1`,
  ],
  [
    "options of one's own in one text, with root",
    { infra: "nebius", config: { docker: { run_options: "-u root --ipc=host" } } },
    `${ROOT} -u root --ipc=host`,
  ],
  [
    "an image whose user has sudo",
    { infra: "aws", image: MINE, config: { docker: { run_options: ["--user 1000:1000"] } } },
    "--user 1000:1000",
  ],
  ["NVIDIA's image where its user would stay", { infra: "runpod" }, undefined],
  ["a machine's image", { infra: "aws/us-east-1", image: "ami-0123456789abcdef0" }, undefined],
];

function taskOf(sky: ConfigInput["sky"]): string {
  const config = parseConfig({
    model: "Qwen/Qwen3-8B",
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    access: { gateway: true },
    ...(sky === undefined ? {} : { sky }),
  });
  const { clusters } = plan(config, { discovery: "etcd", events: "nats" });
  const [cluster] = clusters;
  if (cluster === undefined) throw new Error("no cluster");
  return recipeText({ cluster, config }, join(packageRoot(), "runtime"));
}

let answer: Answer;
const scratch = mkdtempSync(join(tmpdir(), "dsky-images-"));
/** Programs of an image without sudo. */
const bin = join(scratch, "bin");

beforeAll(async () => {
  mkdirSync(bin);
  chmodSync(scratch, 0o755);
  for (const program of ["whoami", "true"]) symlinkSync(`/usr/bin/${program}`, join(bin, program));
  answer = await skyAnswer<Answer>(
    "skyImages.py",
    RUNS.map(([, sky]) => taskOf(sky)),
    scratch,
  );
}, 900_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** The status of a command in an image without sudo, as this user. */
function statusOf(uid: 0 | 1000, command: string): number | null {
  const isRoot = process.getuid?.() === 0;
  const asRoot = isRoot ? [] : ["unshare", "--map-root-user"];
  const asUser = isRoot ? ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"] : [];
  const [program = "", ...words] = [...(uid === 0 ? asRoot : asUser), "/bin/bash", "-c", command];
  return spawnSync(program, words, { env: { PATH: process.env["PATH"], BIN: bin } }).status;
}

describe("the user of an image", () => {
  it("has to be root or have sudo, or the last step of SkyPilot's setup fails", () => {
    expect(answer.lastStep).toMatch(/^sudo /);
    expect(statusOf(1000, `PATH=$BIN; ${answer.lastStep}`)).toBe(127);
    expect(statusOf(1000, `PATH=$BIN; ${answer.sudoOfRoot}; sudo true`)).toBe(127);
    // Not the step itself, which changes the machine.
    expect(statusOf(0, `PATH=$BIN; ${answer.sudoOfRoot}; sudo true`)).toBe(0);
  });

  it("takes that step on each cloud whose containers' user can be set, or cannot", () => {
    const clouds = Object.keys(UNSUPPORTED).filter(
      (cloud) => takesRunOptions(cloud) || runsAsImageUser(cloud),
    );
    // Seeweb's has sudo in other steps.
    const others = clouds.filter((cloud) => cloud !== "seeweb");
    expect(answer.endsWithSudo).toEqual(expect.arrayContaining(others));
    expect(clouds.filter(runsAsImageUser)).toEqual(["runpod", "vast", "yotta"]);
    expect(clouds.every((cloud) => APPLIED_ON.runOptions.includes(cloud) !== runsAsImageUser(cloud))).toBe(
      true,
    );
  });

  it.each(RUNS.map(([title, , options], index) => ({ title, options, index })))(
    "is root as SkyPilot starts it, unless said otherwise: $title",
    ({ options, index }) => {
      const run = answer.dockerRuns[index] ?? undefined;
      expect(run?.replace(/^.* LANG=C\.UTF-8 (.*?) ?--net=host .*$/, "$1")).toBe(options);
    },
  );
});

/** What SkyPilot installs, and the words of the row in docs/skypilot.md that says so. */
const ROWS: readonly (readonly [
  row: string,
  from: readonly string[],
  packages: readonly string[],
  /** Not needed to reach the node. */
  optional: readonly string[],
])[] = [
  [
    "Kubernetes",
    ["kubernetes"],
    ["curl", "openssh-server", "rsync", "wget"],
    ["gcc", "netcat", "patch", "pciutils"],
  ],
  [
    "clouds' machines",
    ["docker"],
    ["curl", "fuse", "openssh-server", "patch", "python3-pip", "rsync", "wget"],
    [],
  ],
  ["RunPod", ["runpod", "yotta"], ["curl", "openssh-server", "patch", "rsync"], []],
  ["Vast", ["vast"], ["patch"], []],
  ["Slurm with Pyxis", ["slurm"], ["ca-certificates", "curl", "fuse", "git", "rsync", "wget"], []],
];

describe("what SkyPilot installs in an image", () => {
  const page = readFileSync(join(packageRoot(), "docs", "skypilot.md"), "utf8");

  it.each(ROWS)("is what the documentation says: %s", (row, from, packages, optional) => {
    for (const one of from) expect(answer.installs[one]).toEqual([...packages, ...optional].toSorted());
    const line = page.split("\n").find((one) => one.startsWith(`| ${row}`)) ?? "";
    for (const name of packages) expect(line).toContain(name);
  });

  it("is all that it installs anywhere", () => {
    expect(Object.keys(answer.installs).toSorted()).toEqual(ROWS.flatMap(([, from]) => from).toSorted());
  });

  it("and its own Python come from hosts that the documentation names", () => {
    expect(answer.hosts).not.toEqual([]);
    for (const host of answer.hosts) expect(page).toContain(host);
  });
});
