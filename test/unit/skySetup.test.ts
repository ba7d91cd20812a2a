import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VERSIONS } from "../../config/versions";
import { parseConfig } from "../../plan/config";
import { setupCommand } from "../../sky/setup";
import { python, RUNTIME } from "../runtime";

const SERVICES = { controlPlane: true, gateway: false, prometheus: false };
const commandOf = (more: Readonly<Record<string, unknown>>) =>
  setupCommand(parseConfig({ model: "Qwen/Qwen3-8B", ...more }), SERVICES, {});

/** Stand-in for Python: it has the packages in `HAS`, and records what it should install or run. */
const PYTHON = `#!/bin/bash
case "$*" in
  *find_spec*dynamo.frontend*) exit 0 ;;
  *find_spec*) for word; do last="$word"; done; [[ " $HAS " == *" $last "* ]] ;;
  *) printf '%s\\n' "$*" >> "$CALLS"; cat >> "$CALLS" ;;
esac
`;

describe("the set-up of a node", () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "setup-"));
    mkdirSync(join(home, ".dynamo-sky", "runtime"), { recursive: true });
    mkdirSync(join(home, "bin"));
    const script = readFileSync(join(RUNTIME, "setup.sh"));
    writeFileSync(join(home, ".dynamo-sky", "runtime", "setup.sh"), script);
    for (const [name, text] of [
      ["python3", PYTHON],
      ...["etcd", "nats-server", "nginx", "openssl", "prometheus"].map(
        (name) => [name, "#!/bin/sh\n"] as const,
      ),
    ] as const) {
      writeFileSync(join(home, "bin", name), text);
      chmodSync(join(home, "bin", name), 0o755);
    }
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  /** Runs it on a node that has `has`. */
  const setUp = (command: string, has = "", more: Readonly<Record<string, string>> = {}) => {
    const env = {
      ...more,
      HOME: home,
      PATH: `${join(home, "bin")}:/usr/bin:/bin`,
      HAS: has,
      CALLS: join(home, "calls"),
    };
    writeFileSync(env.CALLS, "");
    const { status, stderr } = spawnSync("bash", ["-c", command], { env, encoding: "utf8" });
    return { status, stderr, calls: readFileSync(env.CALLS, "utf8") };
  };

  it("adds supervisor to what is there", () => {
    const { status, stderr, calls } = setUp(commandOf({ engine: "vllm" }));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(calls).toContain(`supervisor==${VERSIONS.supervisor}`);
  });

  it("installs nothing that is there, and fetches the model all the same", () => {
    const { status, calls } = setUp(commandOf({ engine: "sglang" }), "supervisor");
    expect(status).toBe(0);
    expect(calls).not.toContain("pip");
    expect(calls).toMatch(/^-B \S+\/fetch_model\.py \S+\/secrets\.json Qwen\/Qwen3-8B\n/);
    expect(setUp(commandOf({ engine: "mocker" }), "supervisor").calls).toBe("");
  });

  it.each([
    ["sglang", ["--speculative-draft-model-path", "a/draft"]],
    ["sglang", ["--speculative-draft-model-path=a/draft"]],
    ["vllm", ["--speculative-config", '{"method":"eagle3","model":"a/draft"}']],
    ["vllm", ["--speculative-config.model", "a/draft"]],
  ])("fetches the model with which %s drafts tokens, once a node: %j", (engine, engineArgs) => {
    const { status, calls } = setUp(commandOf({ engine, engineArgs }), "supervisor");
    expect(status).toBe(0);
    expect(calls).toContain("/secrets.json Qwen/Qwen3-8B a/draft\n");
  });

  it.each([
    ["vllm", ["--speculative-config", '{"method":"ngram"}']],
    ["sglang", ["--speculative-draft-model-path", "/models/draft"]],
    ["sglang", ["--speculative-draft-model-path", "a/$(id)"]],
  ])("fetches nothing for %s %j, which names no model of the hub", (engine, engineArgs) => {
    expect(commandOf({ engine, engineArgs })).not.toContain("--draft");
  });

  it("fetches weights where an engine runs, and where the task runs one after all", () => {
    const config = parseConfig({
      model: "Qwen/Qwen3-8B",
      engineArgs: ["--speculative-draft-model-path", "a/draft"],
    });
    const command = setupCommand(config, SERVICES, { ranks: [0, 12] });
    const at = (rank: string) => setUp(command, "supervisor", { SKYPILOT_SETUP_NODE_RANK: rank });
    const fetched = "/secrets.json Qwen/Qwen3-8B a/draft\n";
    expect(at("0").calls).toContain(fetched);
    expect(at("1")).toEqual({ status: 0, stderr: "", calls: "" });
    // As before SkyPilot had the variable.
    expect(setUp(command, "supervisor").calls).toContain(fetched);

    const runtime = join(home, ".dynamo-sky", "runtime");
    writeFileSync(join(runtime, "fetch_model.py"), "import sys\nprint(*sys.argv[1:])\n");
    const start = (gpus: readonly number[]) =>
      python("import json, sys, start; start.fetch_left_out(*json.load(sys.stdin))", [
        join(home, ".dynamo-sky"),
        runtime,
        [{ gpus }],
      ]);
    expect(at("1").calls).toBe("");
    expect(start([])).toBe("");
    expect(start([0])).toContain(fetched);
    // Once.
    expect(start([0])).toBe("");
    at("1");
    at("12");
    expect(start([0])).toBe("");
    at("1");
    writeFileSync(join(runtime, "fetch_model.py"), "raise SystemExit('no access')\n");
    expect(() => start([0])).toThrow("no access");
  });

  it("tries again what fails in passing, with growing pauses that differ", () => {
    // Python's package index answers on the third attempt, without real pauses.
    const failing = PYTHON.replace(
      "  *) printf",
      '  *pip*) echo x >> "$CALLS.tried"; [ "$(wc -l < "$CALLS.tried")" -ge 3 ] || exit 1 ;;&\n  *) printf',
    );
    writeFileSync(join(home, "bin", "python3"), failing);
    writeFileSync(join(home, "bin", "sleep"), '#!/bin/sh\necho "slept $1" >> "$CALLS"\n');
    chmodSync(join(home, "bin", "sleep"), 0o755);
    const { status, stderr, calls } = setUp(commandOf({ engine: "mocker" }));
    expect(status).toBe(0);
    const pauses = [...calls.matchAll(/^slept (\d+)$/gm)].map(([, seconds]) => Number(seconds));
    expect(pauses).toHaveLength(2);
    expect(pauses[0]).toBeGreaterThanOrEqual(5);
    expect(pauses[1]).toBeGreaterThanOrEqual(10);
    expect(stderr).toMatch(/ -m' failed; again in \d+ s/);
    expect(calls).toContain("supervisor==");
  });

  it("leaves the interpreter that has Dynamo, and a directory for its user alone", () => {
    expect(setUp(commandOf({})).status).toBe(0);
    const wrapper = readFileSync(join(home, ".dynamo-sky", "bin", "node-python"), "utf8");
    expect(wrapper).toBe(`#!/bin/sh\nexec "${join(home, "bin", "python3")}" "$@"\n`);
  });

  it.each([
    ["an option that there is not", "--engin sglang", "unknown option --engin"],
    ["a service that there is not", "--services redis", "unknown service redis"],
    ["an option without its value", "--model", "--model needs a value"],
  ])("refuses %s", (_what, more, message) => {
    const { status, stderr } = setUp(`${commandOf({ engine: "mocker" }).trim()} ${more}`, "supervisor");
    expect(status).toBe(64);
    expect(stderr).toContain(message);
  });

  it("takes the model from the task's environment where it is told to", () => {
    const command = setupCommand(parseConfig({ model: "a/b" }), SERVICES, { model: '"$MODEL"' });
    expect(setUp(`MODEL=c/d; ${command}`, "supervisor").calls).toContain("/secrets.json c/d\n");
  });

  it("is bash", () => {
    const text = readFileSync(join(RUNTIME, "setup.sh"));
    expect(() => execFileSync("bash", ["-n"], { input: text })).not.toThrow();
  });
});
