/** The gateway's keys: how they are made, and how they reach the nodes and nginx. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { describe, expect, test } from "vitest";
import { DynamoCluster } from "../../components";
import { chatCommand } from "../../components/topology";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { python } from "../runtime";
import { runOnMocks } from "./componentsMocks";

const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";

describe("keys", () => {
  const access = {
    gateway: true,
    keys: ["team-a", "default"],
    retiredKeys: [{ name: "old", graceUntil: "2027-01-31T18:00:00Z" }],
  };
  const args = { target: "local", model: "Qwen/Qwen3-8B", localServices: true, access } as const;
  const value = (name: string) => `value-of-dynamo-key-${name}`;

  test("are generated one by one, and are secrets on their way to the nodes and to the trial request", async () => {
    const { named, resources } = await runOnMocks("update", () => new DynamoCluster("dynamo", args));
    const passwords = resources.filter(({ parent }) => parent === "dynamo-key");
    expect(passwords.map(({ name, inputs }) => [name, inputs])).toEqual(
      ["team-a", "default", "old"].map((name) => [
        `dynamo-key-${name}`,
        { length: 48, special: false, upper: false },
      ]),
    );
    const lease = named("dynamo-main-lease").inputs["stdin"] as { secret: string };
    const all = `team-a:${value("team-a")},default:${value("default")},old:${value("old")}@2027-01-31T18:00:00Z`;
    expect(JSON.parse(lease.secret)).toMatchObject({ gateway: true, secrets: { [API_KEYS]: all } });
    const check = named("dynamo-ready-check").inputs["stdin"] as { secret: string };
    expect(JSON.parse(check.secret).apiKey).toBe(value("team-a"));
    const units = resources.filter(({ name }) => name.startsWith("dynamo-frontend-"));
    expect(units.map(({ name }) => name)).toContain("dynamo-frontend-gateway");
    expect(JSON.stringify(units)).not.toContain("value-of");
  });

  test("are secret outputs, and are not in the command that asks a question", async () => {
    const { result } = await runOnMocks("update", () => new DynamoCluster("dynamo", args));
    expect(result.asksForKey).toBe(true);
    const outputs: pulumi.Output<unknown>[] = [result.apiKey, result.apiKeys, result.chat];
    const secrecy = await Promise.all(outputs.map((output) => pulumi.isSecret(output)));
    expect(secrecy).toEqual([true, true, false]);
    const values = Object.fromEntries(["team-a", "default", "old"].map((name) => [name, value(name)]));
    expect(await new Promise((resolve) => result.apiKeys.apply(resolve))).toEqual(values);
    expect(await new Promise((resolve) => result.chat.apply(resolve))).not.toContain("value-of");
  });

  test("reach curl by its standard input", () => {
    expect(chatCommand("http://h:1", { model: "m", task: "chat" }, { asksForKey: true })).toBe(
      `printf 'Authorization: Bearer %s' "$DYNAMO_API_KEY" | curl -s -H @- http://h:1/v1/chat/completions -H 'Content-Type: application/json' -d '{"model":"m","messages":[{"role":"user","content":"Say hello in one sentence."}],"max_tokens":64}'`,
    );
  });
});

describe("the secret as the node reads it", () => {
  const read = (secret: string) => {
    const script =
      "import json, sys; import gateway\ntry: print(json.dumps(gateway.parse_keys(sys.stdin.read())))\nexcept gateway.Unusable as error: print(json.dumps(str(error)))";
    const { stdout, stderr } = spawnSync("python3", ["-B", "-c", script], {
      cwd: join(__dirname, "../../runtime"),
      input: secret,
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    return JSON.parse(stdout);
  };
  const A = "a".repeat(32);
  const B = "b-_9".repeat(8);

  test("is one key, or several with names, some of them until a time", () => {
    expect(read(A)).toEqual([["default", A, null]]);
    expect(read(`x:${A},y-2:${B}@2027-01-31T18:00:00Z`)).toEqual([
      ["x", A, null],
      ["y-2", B, Date.UTC(2027, 0, 31, 18) / 1000],
    ]);
  });

  test("comes from the node's file, with the certificate, and goes into nginx's files", () => {
    const script = `import json, os, sys, tempfile, gateway
from files import write_private
kept = tempfile.TemporaryDirectory()
node = kept.name
os.mkdir(os.path.join(node, "run"))
write_private(os.path.join(node, "secrets.json"), json.dumps(json.load(sys.stdin)))
keys = gateway.Keys(node, with_tls=True)
written = [keys.look(), keys.look()]
texts = [open(os.path.join(node, "run", name)).read() for name in ("gateway-keys.conf", "gateway-tls.pem")]
print(json.dumps([written, *texts]))`;
    const bundle = `-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n${CERTIFICATE}`;
    const secrets = { [TLS_BUNDLE]: bundle, [API_KEYS]: `team-a:${A}` };
    const [written, keys, tls] = JSON.parse(python(script, secrets).split("\n").at(-2) ?? "");
    expect(written).toEqual([true, false]);
    expect([keys, tls]).toEqual([`"Bearer ${A}" "team-a";\n`, bundle]);
  });

  test.each([
    ["", "the key default is not usable."],
    ["short", "the key default is not usable."],
    [A.toUpperCase(), "the key default is not usable."],
    [`${A}"; evil`, "the key default is not usable."],
    [`${A}\n`, "the key default is not usable."],
    [`x y:${A}`, "entry 1 has no proper name before its colon"],
    [`x:${A},x:${B}`, "two entries have the same name"],
    [`x:${A},y:${A}`, "two entries have the same key"],
    [`x:${A}@soon`, "the grace time of key x is no ISO time with a zone"],
    [`x:${A}@2027-01-31T18:00:00`, "the grace time of key x is no ISO time with a zone"],
  ])("is refused without a word of its value: %j", (secret, message) => {
    const error = read(secret);
    expect(error).toContain(`${API_KEYS}: ${message}`);
    for (const part of [A, B, "evil"]) expect(error).not.toContain(part);
  });
});
