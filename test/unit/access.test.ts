/** The gateway without nginx: its settings, its plan, and its part of SkyPilot's task. */
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { ConfigInput } from "../../config/schema";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { portSetting } from "../../plan/ports";
import { API_KEYS } from "../../plan/programs/gateway";
import { nginxConf as confOf, RUNTIME, textOfTask } from "../runtime";
import { type BadInput, messageOf } from "./configMessages";

const NAME = "lower-case letters, digits and single hyphens, at most 40, such as default or team-a";
const TIME = "a time in UTC, such as 2027-01-31T18:00:00Z";
const CERTIFICATE = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
const on = (more: Record<string, unknown> = {}) => ({ access: { gateway: true, ...more } });

const BAD: readonly BadInput[] = [
  [
    "an endpoint open to the internet without a key",
    { access: { gateway: false }, sky: { openEndpoint: true } },
    [
      "dynamo-sky:sky.openEndpoint: true opens the endpoint's port to the internet, and without a gateway it asks for no key. Set access.gateway to true, or this to false.",
    ],
  ],
  [
    "keys that nobody asks for",
    {
      access: {
        gateway: false,
        keys: ["a"],
        retiredKeys: [{ name: "b", graceUntil: "2027-01-31T18:00:00Z" }],
      },
    },
    ["keys", "retiredKeys"].map(
      (key) =>
        `dynamo-sky:access.${key}: has no effect while access.gateway is false: no key is asked for. Set that to true, or remove this.`,
    ),
  ],
  [
    "gateway in words",
    { access: { gateway: "on" } },
    ['dynamo-sky:access.gateway: "on" is neither true nor false.'],
  ],
  [
    "no key",
    on({ keys: [] }),
    ["dynamo-sky:access.keys: [] is too short. Allowed: a list of names of keys, at least 1."],
  ],
  [
    "a key's value in place of its name",
    on({ keys: ["sk_Secret"] }),
    [`dynamo-sky:access.keys[0]: "sk_Secret" is not the name of a key. Allowed: ${NAME}.`],
  ],
  [
    "a name that would break out of the keys' file",
    on({ keys: ['a";', "a:b", "a,b", ""] }),
    ['"a\\";"', '"a:b"', '"a,b"', '""'].map(
      (name, index) =>
        `dynamo-sky:access.keys[${index}]: ${name} is not the name of a key. Allowed: ${NAME}.`,
    ),
  ],
  [
    "a name twice",
    on({ keys: ["a", "a", "b"], retiredKeys: [{ name: "b", graceUntil: "2027-01-31T18:00:00Z" }] }),
    [
      'dynamo-sky:access.keys[1]: "a" is named twice. Each key is named once, in access.keys or in access.retiredKeys.',
      'dynamo-sky:access.retiredKeys[0].name: "b" is named twice. Each key is named once, in access.keys or in access.retiredKeys.',
    ],
  ],
  [
    "a retired key without its time",
    on({ retiredKeys: [{ name: "b" }] }),
    [`dynamo-sky:access.retiredKeys[0].graceUntil: is required. Allowed: ${TIME}.`],
  ],
  [
    "times that are none",
    on({
      retiredKeys: ["tomorrow", "2027-01-31", "2027-02-31T18:00:00Z", "2027-01-31T18:00:00+01:00"].map(
        (graceUntil, index) => ({
          name: `k${index}`,
          graceUntil,
        }),
      ),
    }),
    ["tomorrow", "2027-01-31", "2027-02-31T18:00:00Z", "2027-01-31T18:00:00+01:00"].map(
      (time, index) =>
        `dynamo-sky:access.retiredKeys[${index}].graceUntil: "${time}" is not a time. Allowed: ${TIME}.`,
    ),
  ],
  [
    "limits out of range",
    on({ maxRequestMB: 0, requestsPerSecond: 0, burst: -1, connectionsPerKey: 10_001 }),
    [
      "dynamo-sky:access.maxRequestMB: 0 is too small. Allowed: 1 to 1024.",
      "dynamo-sky:access.requestsPerSecond: 0 is too small. Allowed: 1 to 100000.",
      "dynamo-sky:access.burst: -1 is too small. Allowed: 0 to 1000000.",
      "dynamo-sky:access.connectionsPerKey: 10001 is too big. Allowed: 1 to 10000.",
    ],
  ],
  [
    "an endpoint open to the internet that anybody can read along with",
    { ...on({ tls: { mode: "off" } }), sky: { openEndpoint: true } },
    [
      'dynamo-sky:access.tls.mode: "off" sends keys, prompts and answers readable over the internet, to which sky.openEndpoint opens the port. Remove it; or, where something in front of the gateway ends TLS and lets nobody else at it, set access.allowPlainHttp to true.',
    ],
  ],
  [
    "TLS without a gateway",
    { access: { gateway: false, tls: { mode: "generated" } } },
    [
      'dynamo-sky:access.tls.mode: "generated" has no effect while access.gateway is false. Set that to true, or remove this.',
    ],
  ],
  [
    "a certificate without its key",
    on({ tls: { certificate: CERTIFICATE } }),
    [
      "dynamo-sky:tlsKey: is required with access.tls.certificate: the key of it. Run: pulumi config set --secret dynamo-sky:tlsKey < key.pem",
    ],
  ],
  [
    "a key without its certificate",
    { ...on({ tls: { mode: "own" } }), tlsKey: true },
    [
      'dynamo-sky:access.tls.certificate: is required with access.tls.mode "own". Allowed: PEM.',
      "dynamo-sky:tlsKey: has no effect without access.tls.certificate. Give that too, or remove this.",
    ],
  ],
  [
    "a key in the place of the certificate, which is not told",
    on({ tls: { certificate: "-----BEGIN PRIVATE KEY-----\nhush" } }),
    [
      "dynamo-sky:access.tls.certificate: not a certificate (its value is not shown). Allowed: PEM, the server's certificate first and those that it was signed with after it.",
    ],
  ],
  [
    "something else in the place of the key",
    { ...on({ tls: { certificate: CERTIFICATE } }), tlsKey: "hush" },
    [
      "dynamo-sky:tlsKey: not a private key (its value is not shown). Allowed: a private key in PEM, without a passphrase.",
    ],
  ],
  [
    "names that are none",
    on({ tls: { names: ["*.example.com", "a b", "-x"] } }),
    ["*.example.com", "a b", "-x"].map(
      (host, index) =>
        `dynamo-sky:access.tls.names[${index}]: "${host}" is not a host. Allowed: a host name or an IP address, such as llm.example.com or 10.0.0.7.`,
    ),
  ],
  [
    "an unknown setting",
    on({ retiredKey: [] }),
    ['dynamo-sky:access.retiredKey: unknown key. Did you mean "retiredKeys"?'],
  ],
  [
    "frontends that are led around the gateway",
    { ...on(), frontend: { args: ["--http-host=0.0.0.0", "--http-port", "9000", "--tls-cert-path", "/c"] } },
    [
      [0, "--http-host"],
      [1, "--http-port"],
      [3, "--tls-cert-path"],
    ].map(
      ([index, flag]) =>
        `dynamo-sky:frontend.args[${index}]: ${flag} is set by the plan: another value could contradict it, or lead around the gateway or out of the cluster. Remove it.${flag === "--http-port" ? " Use frontend.port instead." : ""}`,
    ),
  ],
];

describe("settings", () => {
  test.each(BAD)("%s", (_title, input, problems) => {
    expect(messageOf(input)).toBe(problems.join("\n"));
  });

  test("a time may come as Pulumi reads one without quotes", () => {
    const retiredKeys = [{ name: "old", graceUntil: "2027-01-31 18:00:00 +0000 UTC" }];
    const { access } = parseConfig({ model: "Qwen/Qwen3-8B", ...on({ retiredKeys }) });
    expect(access.retiredKeys[0]?.graceUntil).toBe("2027-01-31T18:00:00Z");
  });

  test("TLS is on where keys travel, and is what the configuration says", () => {
    const modeOf = (input: Omit<ConfigInput, "model">) =>
      parseConfig({ model: "Qwen/Qwen3-8B", ...input }).access.tls.mode;
    expect(modeOf(on())).toBe("generated");
    expect(modeOf(on({ tls: { mode: "off" } }))).toBe("off");
    expect(modeOf({ ...on({ tls: { certificate: CERTIFICATE } }), tlsKey: true })).toBe("own");
    // With these nothing leaves the machine, or there is no gateway.
    expect(modeOf({ target: "local", ...on() })).toBe("off");
    expect(modeOf({ target: "local" })).toBe("off");
    expect(modeOf({ access: { gateway: false } })).toBe("off");
    expect(modeOf({})).toBe("generated");
    const behind = { ...on({ tls: { mode: "off" }, allowPlainHttp: true }), sky: { openEndpoint: true } };
    expect(modeOf(behind)).toBe("off");
  });

  test.each([
    ["on SkyPilot", {}, true],
    ["not on this machine", { target: "local" }, false],
    ["not where it is switched off", { access: { gateway: false } }, false],
  ])(
    "there is a gateway %s, and the defaults stay what they are when they are read again",
    (_, input, is) => {
      const config = parseConfig({ model: "Qwen/Qwen3-8B", ...input });
      expect(config.access.gateway).toBe(is);
      expect(parseConfig(config)).toEqual(config);
    },
  );
});

function planned(input: Omit<ConfigInput, "model"> = {}) {
  const config = parseConfig({
    ...{ model: "Qwen/Qwen3-8B", cluster: { gpusPerNode: 1 }, frontend: { replicas: 2 } },
    ...on(),
    ...input,
  });
  const made = plan(config, { discovery: "etcd", events: "nats" });
  const [cluster] = made.clusters;
  if (cluster === undefined) throw new Error("no cluster");
  const program = (name: string) => {
    const found = cluster.nodes[0]?.programs.find((one) => one.name === name);
    if (found === undefined) throw new Error(`no program ${name}`);
    return found;
  };
  return { config, made, cluster, program };
}

describe("plan", () => {
  test("the gateway has the endpoint's port, and is the only one that other machines reach", () => {
    const { made, program } = planned();
    expect(made.endpoint.port).toBe(8000);
    expect(program("gateway").ports).toEqual({ http: 8000 });
    expect(confOf(program("gateway"))).toContain("listen 0.0.0.0:8000 ssl;");
    const hosts = ["frontend-0", "frontend-1"].map((name) => {
      const { command, ports, health } = program(name);
      return [
        command[command.indexOf("--http-host") + 1],
        command[command.indexOf("--http-port") + 1],
        ports,
        health,
      ];
    });
    expect(hosts).toEqual([
      [
        "127.0.0.1",
        "9800",
        { frontendHttp: 9800, response: 9700 },
        { kind: "http", url: "http://127.0.0.1:9800/live" },
      ],
      [
        "127.0.0.1",
        "9801",
        { frontendHttp: 9801, response: 9701 },
        { kind: "http", url: "http://127.0.0.1:9801/live" },
      ],
    ]);
    expect(portSetting("frontend", "frontendHttp")).toBe("ports.frontendHttp");
    expect(portSetting("gateway", "http")).toBe("frontend.port");
  });

  test("on this machine everything is on the node's own loopback address", () => {
    const { program } = planned({ target: "local" });
    const conf = confOf(program("gateway"));
    expect(conf).toContain("listen {{NODE_IP}}:8000;");
    expect(conf).toContain("server {{NODE_IP}}:9800 max_fails=0;");
    expect(conf).not.toContain("0.0.0.0");
    expect(program("frontend-0").command).toContain("{{NODE_IP}}");
  });

  test("nginx's configuration", () => {
    const limits = { maxRequestMB: 8, requestsPerSecond: 5, burst: 7, connectionsPerKey: 3 };
    expect(confOf(planned({ access: { gateway: true, ...limits } }).program("gateway"))).toMatchSnapshot();
  });

  test("does not know how many keys there are, so that a new one starts nothing anew", () => {
    const keys = ["a", "b"];
    const retiredKeys = [{ name: "c", graceUntil: "2027-01-31T18:00:00Z" }];
    expect(planned({ access: { gateway: true, keys, retiredKeys } }).made).toEqual(planned().made);
  });

  test("without it there is none", () => {
    const { cluster } = planned({ access: { gateway: false } });
    expect(cluster.nodes[0]?.programs.map(({ name }) => name)).not.toContain("gateway");
  });
});

describe("SkyPilot's task", () => {
  const task = (input: Omit<ConfigInput, "model"> = {}) => {
    const { config, cluster } = planned(input);
    return parse(textOfTask({ cluster, config }));
  };

  test("names the keys as a secret, and brings nginx and what runs it", () => {
    const { secrets, setup, run, file_mounts } = task();
    expect(Object.keys(secrets)).toContain(API_KEYS);
    expect(secrets[API_KEYS]).toBeNull();
    expect(setup).toMatch(/--services '.*\bnginx\b.*'/);
    expect(run).toContain("python3 {{NODE_DIR}}/gateway.py --listen 0.0.0.0:8000 --tls");
    expect(file_mounts).toEqual({ "~/.dynamo-sky/runtime": RUNTIME });
  });

  test("has none of it without the gateway", () => {
    expect(JSON.stringify(task({ access: { gateway: false } }))).not.toMatch(
      /nginx|gateway\.py|DYNAMO_SKY_API_KEY/,
    );
  });
});
