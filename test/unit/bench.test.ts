/**
 * `bin/dynamo-sky bench` without a deployment: loads, aiperf's configuration and export, summaries,
 * directories, the command line.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import fc from "fast-check";
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "yaml";
import { aiperfRequirements } from "../../cli/bench/aiperf";
import { adapted, LOAD_NAMES, LOADS, requestsOf, warmUpsOf } from "../../cli/bench/loads";
import { firstError, readExport } from "../../cli/bench/metrics";
import { benchCommand, type CompareOptions, type RunOptions } from "../../cli/bench/options";
import { aiperfConfig } from "../../cli/bench/profile";
import { markdownTable, rounded, runReport } from "../../cli/bench/report";
import { findPair, findRuns, runDirectory } from "../../cli/bench/results";
import { readSummary, SUMMARY_FILE, summaryText } from "../../cli/bench/summary";
import { targetOf } from "../../cli/bench/target";
import { UsageProblem } from "../../cli/pulumi/openStack";
import { VERSIONS } from "../../config/versions";
import { issueCertificate } from "../../lib/tls/issue";
import { stackOutputs } from "../outputs";
import { summaryOf } from "./benchSummaries";

const scratch = mkdtempSync(join(tmpdir(), "bench-test-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const fixture = (name: string) => readFileSync(join(__dirname, "aiperf", name), "utf8");

describe("aiperf's packages", () => {
  it("are exact, each with a hash and none with an address, and of the version that config/versions.ts names", () => {
    const requirements = readFileSync(aiperfRequirements(), "utf8");
    const packages = requirements.split(/\n(?! )/).filter((entry) => entry.trim() !== "");
    expect(packages.length).toBeGreaterThan(50);
    expect(packages.filter((entry) => !/^[\w.-]+==\S+ .*--hash=sha256:/s.test(entry))).toEqual([]);
    expect(requirements).not.toMatch(/https?:|index-url|find-links/);
    const wanted = readFileSync(aiperfRequirements().replace(/\.txt$/, ".in"), "utf8");
    expect(wanted.split("\n")).toContain(`aiperf==${VERSIONS.aiperf}`);
    expect(requirements).toContain(`aiperf==${VERSIONS.aiperf} \\\n    --hash=sha256:`);
  });
});

describe("loads", () => {
  it.each(LOAD_NAMES)("%s: several numbers of clients, ascending, and enough repeats to compare", (name) => {
    const load = LOADS[name];
    expect(load.name).toBe(name);
    expect(load.clients.length).toBeGreaterThanOrEqual(3);
    expect(load.clients).toEqual([...load.clients].sort((a, b) => a - b));
    expect(load.repeats).toBeGreaterThanOrEqual(4);
  });

  it.each(LOAD_NAMES)("%s is small when quick", (name) => {
    const quick = adapted(LOADS[name], { quick: true });
    const tokens = quick.clients.map((clients) => requestsOf(quick, clients) * quick.answer.mean);
    expect(Math.max(...tokens)).toBeLessThanOrEqual(4000);
    expect(quick.repeats).toBe(1);
  });

  it("take what the command line says, and send at least a request for each client", () => {
    const change = { clients: [8, 2, 8], repeats: 2, requests: 5 };
    const load = adapted(LOADS.chat, change);
    expect(load).toMatchObject({ clients: [2, 8], repeats: 2, prompt: LOADS.chat.prompt });
    expect([2, 8].map((clients) => requestsOf(load, clients))).toEqual([5, 8]);
  });

  it("fill the caches with every shared beginning before anything is measured", () => {
    expect(warmUpsOf(LOADS["shared-prefix"], 1)).toBeGreaterThanOrEqual(
      LOADS["shared-prefix"].prefix?.count ?? 0,
    );
    expect(warmUpsOf(LOADS.chat, 8)).toBe(8);
  });
});

const program = (role: "frontend" | "decode", gpus: number[]) => ({ name: role, role, gpus, ports: {} });
const target = targetOf(
  stackOutputs(
    { endpoint: "http://127.0.0.1:1", model: "Qwen/Qwen3-8B", apiKey: "the-key", chat: "curl" },
    {
      topology: [
        {
          name: "main",
          cluster: "c",
          nodes: [
            {
              rank: 0,
              programs: [program("frontend", []), program("decode", [0, 1]), program("decode", [1])],
            },
            { rank: 1, programs: [program("decode", [0, 1])] },
          ],
        },
      ],
    },
  ),
);

describe("the target", () => {
  it("has each GPU of each node once", () => {
    expect(target).toMatchObject({ gpus: 4, nodes: 2, programs: { frontend: 1, decode: 3 } });
  });

  it("may have no GPU", () => {
    const bare = targetOf(stackOutputs({ endpoint: "http://a", model: "m", chat: "" }));
    expect(bare).toMatchObject({ gpus: undefined, nodes: 0, programs: {} });
  });

  it("trusts the stack's own certificate, with the public roots where it ends in none, or what it is told", async () => {
    const { authority, bundle } = await issueCertificate("s".repeat(48), ["127.0.0.1"]);
    const server = bundle.slice(bundle.indexOf("-----BEGIN CERTIFICATE"));
    const caOf = (certificate?: string, ca?: string) =>
      targetOf(stackOutputs({ endpoint: "https://a", model: "m", chat: "", certificate }), ca).ca;
    expect(caOf(authority)).toBe(authority);
    expect(caOf(server)).toBe([server.trim(), ...rootCertificates, ""].join("\n"));
    expect(caOf(authority, "other")).toBe("other");
    expect(caOf()).toBeUndefined();
  });

  it("is refused where a stack has no endpoint", () => {
    expect(() => targetOf({})).toThrow("has no endpoint");
  });
});

describe("aiperf's configuration", () => {
  const spec = { clients: 4, seed: 7, tokenizer: "Qwen/Qwen3-8B", directory: "/out" };

  it("has the load, the warm-up apart, and a prompt of its own for every request", () => {
    const load = LOADS["shared-prefix"];
    const { randomSeed, benchmark } = parse(aiperfConfig(target, { ...spec, load }));
    expect(randomSeed).toBe(7);
    const [warmUp, profiling] = benchmark.phases;
    expect(warmUp).toMatchObject({ kind: "warmup", excludeFromResults: true, concurrency: 4 });
    expect(profiling).toMatchObject({ concurrency: 4, requests: requestsOf(load, 4) });
    expect(benchmark.datasets).toEqual([
      {
        name: "shared-prefix",
        type: "synthetic",
        entries: warmUp.requests + profiling.requests,
        prompts: { isl: load.prompt, osl: 50 },
        prefixPrompts: { poolSize: 32, length: 4000 },
      },
    ]);
    expect(benchmark.endpoint).toMatchObject({ streaming: true, useServerTokenCount: true });
  });

  it("names the variable of the key, and not the key", () => {
    const text = aiperfConfig(target, { ...spec, load: LOADS.chat });
    expect(text).toContain(`\${OPENAI_API_KEY}`);
    expect(text).not.toContain("the-key");
    expect(aiperfConfig({ ...target, apiKey: undefined }, { ...spec, load: LOADS.chat })).not.toContain(
      "apiKey",
    );
  });
});

describe("aiperf's export", () => {
  it("gives the metrics of a real run", () => {
    const measured = readExport(fixture("profile_export_aiperf.json"), 4);
    expect(measured).toMatchObject({ requests: 40, errors: 0, promptTokens: 58, answerTokens: 16 });
    expect(measured.seconds).toBeCloseTo(1.304, 3);
    const rounded = Object.fromEntries(
      Object.entries(measured.values).map(([key, value]) => [key, Number(value.toPrecision(4))]),
    );
    expect(rounded).toEqual({
      ...{ ttftP50: 48.44, ttftP90: 56.49, ttftP99: 61.66 },
      ...{ itlP50: 4.725, itlP90: 5.598, itlP99: 6.428 },
      ...{ latencyP50: 118.6, latencyP99: 136.6 },
      ...{ tokensPerSecond: 488.6, requestsPerSecond: 30.54, tokensPerSecondPerUser: 212.3 },
      tokensPerSecondPerGpu: 122.2,
    });
  });

  it("leaves out what is per GPU where the GPUs are not known", () => {
    expect(readExport(fixture("profile_export_aiperf.json")).values).not.toHaveProperty(
      "tokensPerSecondPerGpu",
    );
  });

  it("tells how many requests failed, and what most of them failed of", () => {
    const found = JSON.parse(fixture("profile_export_aiperf.json"));
    const failing = {
      ...found,
      error_request_count: { unit: "requests", avg: 3 },
      error_summary: [
        { count: 1, error_details: { code: 500, message: "once" } },
        { count: 2, error_details: { code: 503, message: "no worker" } },
      ],
    };
    expect(readExport(JSON.stringify(failing))).toMatchObject({ errors: 3, error: "503: no worker" });
  });

  it("is refused when it is something else, naming what is missing", () => {
    const { time_to_first_token: _, ...rest } = JSON.parse(fixture("profile_export_aiperf.json"));
    expect(() => readExport(JSON.stringify(rest))).toThrow("time_to_first_token");
  });

  it("of a run in which all requests failed is not there: the records have the reason, also when cut off", () => {
    expect(firstError(fixture("all-failed.jsonl"))).toMatch(/^401: .*No valid API key provided/);
    expect(firstError("")).toBeUndefined();
  });
});

describe("a summary", () => {
  it("is read as it was written", () => {
    const { schema: _, ...summary } = summaryOf("kv", 1);
    const directory = join(scratch, "round-trip");
    mkdirSync(directory);
    writeFileSync(join(directory, SUMMARY_FILE), summaryText(summary));
    expect(readSummary(directory)).toEqual({ schema: 1, ...summary });
  });

  it("of another kind is refused, with its file and what is wrong with it", () => {
    const directory = join(scratch, "other");
    mkdirSync(directory);
    writeFileSync(join(directory, SUMMARY_FILE), JSON.stringify({ ...summaryOf("kv", 1), schema: 99 }));
    expect(() => readSummary(directory)).toThrow(/other\/summary.json is not a summary[\s\S]*schema/);
  });

  it("is told with the medians, their range, failures, and that it is simulated", () => {
    const summary = summaryOf("kv", 1);
    const report = runReport(summary);
    expect(report).toContain("**Simulated**");
    expect(report).toContain("4 simulated GPUs");
    expect(report).toMatch(/^\|\s+1 \|\s+160 \|\s+0 \|\s+52\.0 \(50\.0–54\.0\) \|/m);
    const real = { ...summary, deployment: { ...summary.deployment, isSimulated: false } };
    expect(runReport(real)).not.toMatch(/simulated/i);
  });
});

describe("tables and metrics", () => {
  it.each([
    [0, "0"],
    [0.1234, "0.123"],
    [48.44, "48.4"],
    [488.6, "489"],
    [12345.6, "12,346"],
  ])("%f is %s", (value, text) => expect(rounded(value)).toBe(text));

  it("have columns as wide as their longest cell", () => {
    expect(markdownTable(["name", "n"], [["a", "1,000"]])).toBe(
      "| name |     n |\n| ---- | ----: |\n| a    | 1,000 |",
    );
  });
});

describe("runs on disk", () => {
  const project = join(scratch, "project");
  const write = (stack: string, load: "chat" | "sweep", hour: number) => {
    const at = new Date(Date.UTC(2026, 0, 1, hour));
    const directory = runDirectory(project, stack, load, at);
    const summary = summaryOf(stack, 1);
    mkdirSync(directory, { recursive: true });
    writeFileSync(
      join(directory, SUMMARY_FILE),
      JSON.stringify({ ...summary, startedAt: at.toISOString(), load: { ...summary.load, name: load } }),
    );
    return directory;
  };
  const a1 = write("a", "chat", 1);
  const a2 = write("a", "chat", 2);
  const a3 = write("a", "sweep", 3);
  const b1 = write("org/b", "chat", 1);

  it("are found by their directory, or by their stack, the newest first", () => {
    expect(findRuns(a1, { project }).map(({ directory }) => directory)).toEqual([a1]);
    expect(findRuns("a", { project }).map(({ directory }) => directory)).toEqual([a3, a2, a1]);
    expect(findRuns("a", { project, load: "chat" })).toHaveLength(2);
  });

  it("are paired by their load: of two stacks, or the two newest of one, the older first", () => {
    const pair = (a: string, b: string) => findPair([a, b], { project }).map(({ directory }) => directory);
    expect(pair("a", "org/b")).toEqual([a2, b1]);
    expect(pair("a", "a")).toEqual([a1, a2]);
  });

  it("that are not there are a mistake of the user's, with what to do", () => {
    expect(() => findRuns("nobody", { project })).toThrow(UsageProblem);
    expect(() => findRuns("nobody", { project })).toThrow("bin/dynamo-sky bench --stack nobody");
    expect(() => findPair([a3, b1], { project })).toThrow("no load in common");
  });
});

describe("the command line", () => {
  beforeEach(() => vi.stubEnv("DYNAMO_SKY_CALLED_FROM", "/somewhere"));
  afterEach(() => vi.unstubAllEnvs());
  /** The parsed action. */
  function read(...argv: string[]): RunOptions | CompareOptions | undefined {
    let read: RunOptions | CompareOptions | undefined;
    const take = async (options: RunOptions | CompareOptions) => {
      read = options;
    };
    const silent = { writeOut: () => undefined, writeErr: () => undefined };
    const command = benchCommand({ run: take, compare: take }).configureOutput(silent);
    for (const each of command.commands) each.configureOutput(silent);
    command.parse(argv, { from: "user" });
    return read;
  }

  it("has defaults", () => {
    expect(read("--stack", "dev")).toMatchObject({
      ...{ kind: "run", stack: "dev", label: "dev", loads: ["chat"], quick: false, limitSeconds: 600 },
      ...{ clients: undefined, repeats: undefined, requests: undefined, seed: undefined, out: undefined },
    });
  });

  it("takes lists, and paths from where it was called", () => {
    const options = read("-s", "dev", "--clients", "1,4", "-l", "chat", "-l", "all", "--ca", __filename);
    expect(options).toMatchObject({ clients: [1, 4], loads: LOAD_NAMES, ca: __filename });
    expect(read("--state", "-")).toMatchObject({ source: { file: "-" }, label: "deployment" });
    expect(read("-s", "dev", "-o", "out")).toMatchObject({ out: "/somewhere/out" });
    expect(read("compare", "a", "b", "--fail-if-worse")).toMatchObject({
      ...{ kind: "compare", runs: ["a", "b"], failIfWorse: true, load: undefined },
    });
  });

  it.each([
    [[], "--stack NAME is missing"],
    [["-s", "dev", "--load", "chats"], '--load "chats": use chat, shared-prefix, long-output, sweep or all'],
    [["-s", "dev", "--clients", "1,,2"], '--clients "" is not a whole number. Allowed: 1 to'],
    [["-s", "dev", "--repeats", "9"], "Allowed: 1 to 8"],
    [["-s", "dev", "--requests", "1.5"], '--requests "1.5"'],
    [["-s", "dev", "--ca", "nowhere.pem"], "/somewhere/nowhere.pem: there is no such file"],
    [["-s", "dev", "--load", "all", "--out", "x"], "--out takes the files of one load"],
    [["--state", "-", "--stack", "dev"], "Say --stack or --state, not both"],
    [["compare", "a", "b", "--load", "all"], '--load "all"'],
  ])("refuses %j", (argv, message) => {
    expect(() => read(...argv)).toThrow(UsageProblem);
    expect(() => read(...argv)).toThrow(message);
  });

  it.each([
    [["compare", "a"], "missing required argument 'b'"],
    [["compare", "a", "b", "c"], "too many arguments"],
    [["run"], "too many arguments"],
    [["-s", "dev", "--what"], "unknown option '--what'"],
  ])("does not know %j", (argv, message) => {
    expect(() => read(...argv)).toThrow(message);
  });

  it("takes every number in its range, and no other", () => {
    fc.assert(
      fc.property(fc.integer({ min: -5, max: 20 }), (repeats) => {
        const call = () => read("-s", "dev", `--repeats=${repeats}`);
        if (repeats >= 1 && repeats <= 8) expect(call()).toMatchObject({ repeats });
        else expect(call).toThrow(UsageProblem);
      }),
    );
  });
});
