/**
 * `bin/dynamo-sky bench` on a real deployment behind the gateway, with TLS and the real aiperf: its files,
 * its output, and no secrets in either.
 */
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ensureAiperf } from "../../cli/bench/aiperf";
import { readSummary, SUMMARY_FILE } from "../../cli/bench/summary";
import { topologyOf } from "../../components/topology";
import { SIMULATED, usualEngine } from "../../engines";
import { processIds } from "../../lib/procfs";
import { type IssuedCertificate, issueCertificate } from "../../lib/tls/issue";
import { type DeploymentDetails, deployedLayout } from "../../plan/outputs";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { cacheDir, packageRoot } from "../../toolchain/index";
import { locateModel } from "../../toolchain/model";
import { exported, stackOutputs } from "../outputs";
import { commandOf } from "../processes";
import { summaryOf } from "../unit/benchSummaries";
import { TestDeployment } from "./support";

const INSTALL_MS = 600_000;
const key = randomBytes(24).toString("hex");
const scratch = mkdtempSync(join(tmpdir(), "dsky-bench-"));
const deployment = new TestDeployment(
  { access: { gateway: true, tls: { mode: "generated" } }, pools: [{ role: "aggregated", replicas: 2 }] },
  { discovery: "file", events: "zmq" },
);

const endpoint = deployment.endpoint.replace("http:", "https:");
let issued: IssuedCertificate;

/** The stack's state, or what else it may say. */
const state = (
  apiKey: string,
  details: Partial<DeploymentDetails> = {},
  others: Readonly<Record<string, unknown>> = {},
) => {
  const { authority: certificate, fingerprint: certificateFingerprint } = issued;
  const shown = { endpoint, model: deployment.plan.model, apiKey, certificate, certificateFingerprint };
  const topology = topologyOf(deployment.plan, [deployment.name]);
  const placed = { topology, layout: deployedLayout(deployment.config), ...details };
  return JSON.stringify(exported(stackOutputs({ ...shown, ...others }, placed)));
};

function newSeed(): string {
  return randomBytes(24).toString("hex");
}

/** Runs the command like its script, with the state on standard input. */
async function bench(args: readonly string[], input = "") {
  const child = spawn(join(packageRoot(), "bin", "dynamo-sky"), ["bench", ...args], {
    stdio: "pipe",
  });
  child.stdin.end(input);
  const seen = { processes: 0, withKey: 0 };
  const timer = setInterval(() => {
    for (const command of commandLines()) {
      if (command.includes("aiperf") && command.includes(scratch)) seen.processes += 1;
      if (command.includes(key)) seen.withKey += 1;
    }
  }, 100);
  const code = new Promise<number | null>((resolve) => child.on("close", resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  clearInterval(timer);
  return { code: await code, stdout, stderr, seen };
}

function commandLines(): string[] {
  return processIds().map(commandOf);
}

beforeAll(async () => {
  await ensureAiperf(() => undefined);
  issued = await issueCertificate(newSeed(), [new URL(endpoint).hostname]);
  deployment.secrets = { [API_KEYS]: `default:${key}`, [TLS_BUNDLE]: issued.bundle };
  await deployment.up({ endpoint, apiKey: key, fingerprint: issued.fingerprint });
}, INSTALL_MS);

afterAll(() => {
  deployment.close();
  rmSync(scratch, { recursive: true, force: true });
});

describe("a load on a deployment that asks for a key", () => {
  const directory = join(scratch, "run");
  const small = ["--quick", "--clients", "2", "--requests", "6", "--repeats", "1"];
  let run: Awaited<ReturnType<typeof bench>>;
  beforeAll(async () => {
    run = await bench(["--state", "-", "--label", "tiny", "--out", directory, ...small], state(key));
  });

  test("ends with a table and the place of its files", () => {
    expect(run.code, run.stderr).toBe(0);
    expect(run.stdout).toContain("# tiny: load chat (quick)");
    expect(run.stdout).toContain("**Simulated**");
    expect(run.stdout).toMatch(/^\|\s+2 \|\s+6 \|\s+0 \|\s+[\d.]+ \|/m);
    expect(run.stdout).toContain(`No prediction: the engine is ${SIMULATED}, whose times are`);
    expect(run.stderr).toContain(`Written to ${directory}: summary.json, report.md, charts.svg`);
  });

  test("keeps what was measured", () => {
    const summary = readSummary(directory);
    expect(summary).toMatchObject({ label: "tiny", quick: true, deployment: { isSimulated: true, gpus: 2 } });
    expect(summary.points).toMatchObject([
      { clients: 2, runs: [{ requests: 6, errors: 0, artifacts: join("aiperf", "2-clients-1") }] },
    ]);
    const [measured] = summary.points.flatMap(({ runs }) => runs);
    // The prompts have the requested length plus the chat template; the responses have it exactly.
    expect(measured?.promptTokens).toBeGreaterThan(150);
    expect(measured?.answerTokens).toBeGreaterThan(50);
    const { ttftP50 = 0, itlP50 = 0, latencyP50 = 0, tokensPerSecond = 0 } = measured?.values ?? {};
    expect(ttftP50).toBeGreaterThan(1);
    expect(itlP50).toBeGreaterThan(0.5);
    expect(latencyP50).toBeGreaterThan(ttftP50);
    expect(tokensPerSecond).toBeGreaterThan(10);
    expect(readFileSync(join(directory, "charts.svg"), "utf8")).toContain("Pareto curve");
    expect(readFileSync(join(directory, "report.md"), "utf8")).toContain("![Charts](charts.svg)");
  });

  test("shows the key to nobody: in no command line, no output and no file", () => {
    expect(run.seen.processes).toBeGreaterThan(0);
    expect(run.seen.withKey).toBe(0);
    expect(run.stdout + run.stderr).not.toContain(key);
    const files = readdirSync(directory, { recursive: true, encoding: "utf8" })
      .map((file) => join(directory, file))
      .filter((file) => statSync(file).isFile());
    expect(files.length).toBeGreaterThan(5);
    expect(files.filter((file) => readFileSync(file).includes(key))).toEqual([]);
  });
});

// The same workers, said to be real ones: what AIConfigurator says of those stands beside the numbers.
test("the prediction of AIConfigurator stands beside the numbers", { timeout: INSTALL_MS }, async () => {
  const layout = deployedLayout(deployment.config);
  const pools = layout.pools.map((pool) => ({ ...pool, accelerator: "H100" }));
  const said = state(key, { engine: usualEngine("sky"), layout: { ...layout, pools } });
  const snapshots = join(locateModel(cacheDir(), layout.model)?.path ?? "", "snapshots");
  const [snapshot = ""] = readdirSync(snapshots);
  const tokenizer = join(snapshots, snapshot);
  const directory = join(scratch, "predicted");
  const small = ["--quick", "--clients", "2,3", "--requests", "6", "--predict", "--tokenizer", tokenizer];
  const run = await bench(["--state", "-", "--label", "said", "--out", directory, ...small], said);
  expect(run.code, run.stderr).toBe(0);
  const { prediction } = readSummary(directory);
  expect(prediction).toMatchObject({ layout: "2 × TP1", accelerator: "H100" });
  expect(run.stdout).toMatch(/^Predicted by AIConfigurator [\d.]+ for 2 × TP1, /m);
  const row = /^\|\s+(?<clients>\d+) \|(?:\s+[\d.,]+ \|\s+[\d.,]+ \|\s+[+-]?[\d.]+ % \|){3}$/gm;
  expect([...run.stdout.matchAll(row)].map(({ groups }) => groups?.["clients"])).toEqual(["2", "3"]);
});

describe("what cannot work ends with a word about it", () => {
  test("a wrong key: 1, before any load is made", async () => {
    const out = join(scratch, "wrong-key");
    const { code, stderr } = await bench(["--state", "-", "--out", out], state("wrong"));
    expect(code).toBe(1);
    expect(stderr).toMatch(/chat\/completions answers 401: .*No valid API key/);
    expect(existsSync(out)).toBe(false);
  });

  test("an endpoint that shows another certificate: 1, with what to do", async () => {
    const { authority } = await issueCertificate(newSeed(), [new URL(endpoint).hostname]);
    const other = state(key, {}, { certificate: authority });
    const { code, stderr } = await bench(["--state", "-"], other);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot be reached: .*--ca FILE/);
  });

  test("an endpoint that nobody listens on: 1, with what to do", async () => {
    const dead = state(key, {}, { endpoint: "http://127.0.0.1:9" });
    const { code, stderr } = await bench(["--state", "-"], dead);
    expect(code).toBe(1);
    expect(stderr).toMatch(/cannot be reached: .*Is the stack up\?/);
  });

  test("a state whose secrets are encrypted: 2, with what to do", async () => {
    const { code, stderr } = await bench(["--state", "-"], state("[secret]"));
    expect(code).toBe(2);
    expect(stderr).toContain("'pulumi stack export --show-secrets'");
  });

  test("a state that is none: 2, and their text is not repeated", async () => {
    const { code, stderr } = await bench(["--state", "-"], `not JSON ${key}`);
    expect(code).toBe(2);
    expect(stderr).toContain("--state - cannot be read as JSON");
    expect(stderr).not.toContain(key);
  });
});

test("compare says what is worse, and with --fail-if-worse by its exit code", async () => {
  const [a, b] = [
    { name: "a", slower: 1 },
    { name: "b", slower: 1.5 },
  ].map(({ name, slower }) => {
    const directory = mkdtempSync(join(scratch, `${name}-`));
    writeFileSync(join(directory, SUMMARY_FILE), JSON.stringify(summaryOf(name, slower)));
    return directory;
  });
  const out = join(scratch, "compared");
  const compare = (...options: string[]) => bench(["compare", a ?? "", b ?? "", "--out", out, ...options]);
  const plain = await compare();
  expect(plain.code, plain.stderr).toBe(0);
  expect(plain.stdout).toMatch(/TTFT p50, ms +\| worse/);
  expect(readFileSync(join(out, "charts.svg"), "utf8")).toContain("a and b: load chat");
  const strict = await compare("--fail-if-worse", "--json");
  expect(strict.code).toBe(3);
  expect(JSON.parse(strict.stdout).overall).toContainEqual(
    expect.objectContaining({ metric: "ttftP50", verdict: "worse" }),
  );
});
