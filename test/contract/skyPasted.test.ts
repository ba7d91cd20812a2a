/**
 * Text of `sky.config` through SkyPilot's own rendering, then through bash and sbatch's parsing: common
 * values arrive unchanged, and no accepted text is executed.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { IGNORED_SBATCH } from "../../config/sbatch";
import { quotedSkyConfig, skyTextProblems } from "../../config/skyText";
import { interpreterOf } from "../../sky/interpreter";
import { ensureOwnSkyPilot } from "../../toolchain/skypilot";
import { CANARY, PAYLOADS } from "../dynamo/hostileValues";

const scratch = mkdtempSync(join(tmpdir(), "dsky-pasted-"));
const answersSchema = z.array(
  z.object({
    commands: z.array(z.string()).optional(),
    words: z.array(z.string()).optional(),
    directives: z.string().optional(),
    ignored: z.array(z.string()).optional(),
  }),
);
let python = "";
/** SkyPilot is loaded, and its templates are rendered, hundreds of times. */
const TIMEOUT = 300_000;

beforeAll(async () => {
  const sky = await ensureOwnSkyPilot(["aws", "gcp"], (line) => process.stderr.write(`${line}\n`));
  python = interpreterOf(sky) ?? "";
  writeFileSync(
    join(scratch, "docker"),
    '#!/bin/sh\nprintf "%s\\0" "$@" >> arguments\nprintf "\\0" >> arguments\n',
  );
  chmodSync(join(scratch, "docker"), 0o755);
}, 600_000);
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Config = Parameters<typeof quotedSkyConfig>[0];

function isTaken(config: Config): boolean {
  return skyTextProblems(["sky", "config"], config).length === 0;
}

function rendered(cases: readonly object[]) {
  const { stdout, stderr, status } = spawnSync(python, [join(__dirname, "skyPasted.py")], {
    encoding: "utf8",
    input: JSON.stringify(cases),
    maxBuffer: 64 << 20,
  });
  expect(status, stderr.slice(-2000)).toBe(0);
  return answersSchema.parse(JSON.parse(stdout));
}

/** Executes SkyPilot's output with a `docker` that records its arguments; returns them by call. */
function executed(script: string): string[][] {
  rmSync(join(scratch, "arguments"), { force: true });
  const { status, stderr } = spawnSync("bash", [], {
    cwd: scratch,
    input: `${script}\ncat arguments 2>/dev/null | base64 > arguments.base64 || true\n`,
    env: { PATH: `${scratch}:${process.env["PATH"]}`, HOME: scratch },
    encoding: "utf8",
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  expect(existsSync(join(scratch, CANARY))).toBe(false);
  const { stdout } = spawnSync("base64", ["-d", join(scratch, "arguments.base64")], { encoding: "utf8" });
  return stdout
    .split("\0\0")
    .filter((call) => call !== "")
    .map((call) => call.split("\0"));
}

const OWN_BEFORE = [
  "run",
  "--name",
  "sky_container",
  "-d",
  "-it",
  "-e",
  "LC_ALL=C.UTF-8",
  "-e",
  "LANG=C.UTF-8",
];

/** docker's arguments for some options' texts, for each command of SkyPilot's templates. */
function dockerGets(
  cases: readonly string[][],
): { readonly words: readonly string[]; readonly given: string[][] }[] {
  const quoted = cases.map((run_options) => ({
    written: run_options,
    ...(quotedSkyConfig({ docker: { run_options } }) as { docker: { run_options: string[] } }).docker,
  }));
  const answers = rendered(quoted);
  const commands = answers.flatMap((answer) => answer.commands ?? []);
  const calls = executed(commands.join("\n"));
  expect(calls.length).toBe(commands.length);
  return answers.map(({ commands: own = [], words = [] }) => ({
    words,
    given: calls.splice(0, own.length).map((call) => {
      expect(call.slice(0, OWN_BEFORE.length)).toEqual(OWN_BEFORE);
      return call.slice(OWN_BEFORE.length, call.indexOf("--net=host", OWN_BEFORE.length + words.length));
    }),
  }));
}

describe("docker.run_options", { timeout: TIMEOUT }, () => {
  const EVERYDAY = [
    ["--shm-size=16g", "-v /data:/data", "--ulimit memlock=-1"],
    ["-v '/mnt/my models:/models:ro'", '-e GREETING="hello world"', "-e TAGS=a;b&c|d"],
    ["--label team=inference#1 --label 'note=[new] (prod)'", "--gpus '\"device=0,1\"'"],
    ["-e MATCH=*.safetensors -e HOME_DIR=/home/ü", "--device /dev/infiniband:/dev/infiniband"],
    ["-e 'DOLLAR=$HOME' -e CONFIG={\\\"a\\\":1}", "--add-host hub:10.0.0.1", "-e A: -e B:"],
    ["--env-file=/etc/x y", "-e X=~/y -e Z=a#b #c"].filter((option) => !option.includes("~")),
  ];

  it("of every day are taken, and docker gets the words that were written", () => {
    for (const run_options of EVERYDAY) expect(skyTextProblems([], { docker: { run_options } })).toEqual([]);
    for (const { words, given } of dockerGets(EVERYDAY)) {
      expect(given.length).toBeGreaterThan(0);
      for (const call of given) expect(call).toEqual(words);
    }
  });

  it("made of anything are refused, or reach docker word by word with nothing executed", () => {
    const piece = fc.oneof(
      fc.constantFrom(...PAYLOADS),
      fc.constantFrom(..."'\"\\;&|<>()[]{}*?#:!=@% \t-~ü"),
      fc.constantFrom("a", "-e", "B=c", "123", "yes", "- ", ": ", " #"),
    );
    const option = fc.array(piece, { minLength: 1, maxLength: 5 }).map((parts) => parts.join(""));
    const samples = [
      ...PAYLOADS.flatMap((one) => [[one], [`-e ${one}`], [`-e 'X=${one}'`]]),
      // The same ones each time, so that a failure can be looked at.
      ...fc.sample(fc.array(option, { minLength: 1, maxLength: 2 }), { numRuns: 400, seed: 7 }),
    ];
    const taken = samples.filter((run_options) => isTaken({ docker: { run_options } }));
    expect(taken.length).toBeGreaterThan(250);
    for (const { words, given } of dockerGets(taken)) for (const call of given) expect(call).toEqual(words);
  });

  it.each([
    ["-e A=$HOME", "has $"],
    ["-v $(pwd):/x", "has $"],
    ["-e `id`", "has $"],
    ['-e "A=$B"', "has $"],
    ["-v ~/models:/models", "has ~"],
    ["-e 'half", "without its other half"],
    ["-e A=1\n-e B=2", "line end"],
    ["-p 80:80", "publishes ports"],
    ["'-p' 80:80", "publishes ports"],
    ['-"p"80:80', "publishes ports"],
    ["-itP", "publishes ports"],
    ["--pub\\lish=80", "publishes ports"],
  ])("%j are refused", (text, why) => {
    expect(skyTextProblems([], { docker: { run_options: text } })[0]?.message).toContain(why);
  });
});

/**
 * sbatch's parsing of the rest of a `#SBATCH` line (`_get_argument` of its `opt.c`): words, of which the
 * first has the option.
 */
function sbatchWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at += 1) {
    const letter = line.charAt(at);
    if (letter === "\\") {
      at += 1;
      word = (word ?? "") + line.charAt(at);
    } else if (quote !== "") {
      if (letter === quote) quote = "";
      else word = (word ?? "") + letter;
    } else if (letter === '"' || letter === "'") {
      quote = letter;
      word ??= "";
    } else if (letter === "#") break;
    else if (/\s/.test(letter)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + letter;
  }
  expect(quote).toBe("");
  return word === undefined ? words : [...words, word];
}

describe("slurm.sbatch_options", { timeout: TIMEOUT }, () => {
  const EVERYDAY = {
    exclude: "gpu[01-04]",
    constraint: "h100&ib",
    comment: "llm [team a] (prod) #1",
    licenses: "matlab:1|fluent:2",
    "mail-user": "me@example.com",
    nodelist: "gpu[05-08],big1",
    time: "1-00:00:00",
    exclusive: true,
    reservation: "it's ours",
    wckey: "$x;y",
    mail_type: "END,FAIL",
    qos: "normal,high",
    account: "team.a",
  };

  function lines(options: Record<string, string | number | boolean>): string[] {
    const { slurm } = quotedSkyConfig({ slurm: { sbatch_options: options } }) as { slurm: object };
    const [answer] = rendered([slurm]);
    const script = `#!/bin/bash${answer?.directives ?? ""}\ntrue\n`;
    executed(script);
    return script.split("\n").slice(1, -2);
  }

  it("that SkyPilot ignores are those that are refused", () => {
    const [answer] = rendered([{ sbatch_options: { comment: "x" } }]);
    expect(answer?.ignored).toEqual(Object.keys(IGNORED_SBATCH).toSorted());
  });

  it("of every day are taken, and sbatch reads what was written", () => {
    expect(skyTextProblems([], { slurm: { sbatch_options: EVERYDAY } })).toEqual([]);
    const read = lines(EVERYDAY).map((line) => sbatchWords(line.replace(/^#SBATCH /, "")));
    const wanted = Object.entries(EVERYDAY)
      .map(([key, value]) => [`--${key.replaceAll("_", "-")}${value === true ? "" : `=${value}`}`])
      .sort();
    expect(read.sort()).toEqual(wanted);
  });

  it.each([60, "60", "12:30", "12:30:00", "2-00", "2-12:30", "2-12:30:00", false])(
    "have times that SkyPilot takes too: %s",
    (time) => {
      expect(skyTextProblems([], { slurm: { sbatch_options: { time } } })).toEqual([]);
      expect(lines({ time })).toEqual(time === false ? [] : [`#SBATCH --time=${time}`]);
    },
  );

  it.each(["2 days", "UNLIMITED", "1:2:3:4", "1-", "60m", 1.5, -5, true])("have no other: %s", (time) => {
    expect(skyTextProblems([], { slurm: { sbatch_options: { time } } })).toEqual([
      {
        path: ["slurm", "sbatch_options", "time"],
        message: expect.stringContaining("is no time of Slurm"),
      },
    ]);
  });

  it("that are quoted already stay as they are", () => {
    expect(lines({ comment: "'a b'", constraint: '"x y"' })).toEqual([
      "#SBATCH --comment='a b'",
      '#SBATCH --constraint="x y"',
    ]);
  });

  it("made of anything are refused, or are one word for sbatch and a comment for bash", () => {
    const taken = PAYLOADS.filter((comment) => isTaken({ slurm: { sbatch_options: { comment } } }));
    expect(taken.length).toBeGreaterThan(120);
    const all = Object.fromEntries(
      taken.map((value, index) => [`x${String(index).padStart(4, "0")}`, value]),
    );
    const unquoted = (value: string) => (/^("[^"\\]*"|'[^'\\]*')$/.test(value) ? value.slice(1, -1) : value);
    const read = lines(all).map((line) => sbatchWords(line.replace(/^#SBATCH /, "")));
    expect(read).toEqual(Object.entries(all).map(([key, value]) => [`--${key}=${unquoted(value)}`]));
  });

  it.each([
    [{ sbatch_options: { comment: "a\nb" } }, "slurm.sbatch_options.comment", "line end"],
    [{ sbatch_options: { "x\ny": "a" } }, "slurm.sbatch_options.x\ny", "not the name of an option"],
    [{ sbatch_options: { "comment=a b": "c" } }, "slurm.sbatch_options.comment=a b", "not the name"],
    [{ sbatch_options: { account: "a; id" } }, "slurm.sbatch_options.account", "goes into a command"],
    [{ sbatch_options: { gres: "gpu:h100:8" } }, "slurm.sbatch_options.gres", "use cluster.accelerator"],
    [{ sbatch_options: { cpus_per_task: 8 } }, "slurm.sbatch_options.cpus_per_task", "use sky.cpus"],
    [{ sbatch_options: { c: 8 } }, "slurm.sbatch_options.c", "use sky.cpus"],
    [
      { sbatch_options: { t: 60 } },
      "slurm.sbatch_options.t",
      "writes --t=…, which sbatch does not know. Use time",
    ],
    [{ sbatch_options: { w: "gpu01" } }, "slurm.sbatch_options.w", "Use nodelist"],
    [{ sbatch_options: { z: 1 } }, "slurm.sbatch_options.z", "Use its long name"],
    [{ sbatch_options: { exclusive: null } }, "slurm.sbatch_options.exclusive", "Write true"],
    [{ sbatch_options: { exclude: ["a", "b"] } }, "slurm.sbatch_options.exclude", "is not one value"],
    [
      { cluster_configs: { lab: { sbatch_options: { comment: "a\nb" } } } },
      "slurm.cluster_configs.lab.sbatch_options.comment",
      "line end",
    ],
    [{ quota: { queue: "$(id)" } }, "slurm.quota.queue", "goes into a command"],
    [{ cpu_partition: "a b" }, "slurm.cpu_partition", "goes into a command"],
  ])("%j are refused", (slurm, path, why) => {
    const [problem, ...more] = skyTextProblems([], { slurm });
    expect(more).toEqual([]);
    expect(problem?.path.join(".")).toBe(path);
    expect(problem?.message).toContain(why);
  });
});
