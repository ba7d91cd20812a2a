/**
 * Values that break programs which put text into shells, templates and files, and the settings that accept
 * text.
 */
import type { ConfigInput } from "../../config/schema";

/** Created by text that is wrongly executed. */
export const CANARY = "dynamo-sky-canary";

/**
 * `§` stands for a dollar sign before a brace. Each would create a file called {@link CANARY} in the working
 * directory of the shell that executes it, or break a file's syntax.
 */
export const PAYLOADS: readonly string[] = [
  ...[
    "$(touch CANARY)",
    "`touch CANARY`",
    "; touch CANARY",
    "& touch CANARY &",
    "| touch CANARY",
    "|| touch CANARY",
  ],
  ...[
    "&& touch CANARY",
    "\n touch CANARY\n",
    "'; touch CANARY; '",
    '"; touch CANARY; "',
    "$(touch§{IFS}CANARY)",
  ],
  ...[
    "§{IFS}touch§{IFS}CANARY",
    ";touch§{IFS}CANARY",
    "$(touch$IFS$9CANARY)",
    "x;touch\tCANARY",
    "<(touch CANARY)",
  ],
  ...[
    "$'\\n'touch CANARY",
    "\\$(touch CANARY)",
    "\\`touch CANARY\\`",
    "'$(touch CANARY)'",
    '"$(touch CANARY)"',
  ],
  ...[
    "'",
    '"',
    "\\",
    "\\\\",
    "'\"'\"'",
    "a b",
    " leading",
    "trailing ",
    "\ttab",
    "*",
    "?",
    "~",
    "~root",
    "!!",
    "#",
    "a#b",
  ],
  ...[
    "EOF",
    "\nEOF\ntouch CANARY\n",
    "<<EOF",
    "'EOF'",
    "--",
    "-",
    "-rf",
    "--help",
    "--version",
    "-c",
    "-e import os",
  ],
  ...[
    "%",
    "%%",
    "%s%n",
    "100%",
    "%(ENV_PATH)s",
    "%(here)s",
    "%(program_name)s",
    "%(ENV_DYNAMO_SKY_SOCKET)s",
    "%(x)",
  ],
  ...[
    "\n[program:evil]\ncommand=touch CANARY",
    "a\r\nb",
    "a\rb",
    "a\0b",
    "\x1b[31mred",
    "\x07",
    "\x7f",
    "\u0085next",
  ],
  ...[
    "\u2028line",
    "\u2029paragraph",
    "\ufeffbom",
    "\u202eevil",
    "\ud800",
    "\udfff",
    "ü",
    "日本語",
    "🦊",
    "e\u0301",
    "\u00a0",
  ],
  ...[
    "yes",
    "no",
    "on",
    "off",
    "null",
    "~",
    "true",
    "1:30",
    "0777",
    "0x1f",
    "1e3",
    "1_000",
    ".inf",
    "2026-01-01",
    "=",
    "<<",
  ],
  ...[
    "- a",
    "a: b",
    "a: b: c",
    "{a: b}",
    "[a, b]",
    "&a",
    "*a",
    "!!python/object/apply:os.system ['touch CANARY']",
    "|",
    ">",
  ],
  ...[
    "@a",
    "%YAML 1.1",
    "---",
    "...",
    "? a",
    ": a",
    "a #b",
    '{"a": 1}',
    '"}',
    "'}",
    "\\u0000",
    "\\x00",
    "\\n",
  ],
  ...[
    "; } server { listen 0.0.0.0:1;",
    "}; include /etc/passwd;",
    "$http_authorization",
    "§{model}",
    '"; return 200;',
  ],
  ...[
    "{{HEAD_IP}}",
    "{{NODE_DIR}}/x",
    "{{ HEAD_IP }}",
    "{{x}}",
    "{{RANK_IP_0}}",
    "{{{NODE_IP}}}",
    "§{HEAD_IP}",
    "$HOME",
  ],
  ...[
    "../../etc/passwd",
    "/etc/passwd",
    "/",
    "//",
    ".",
    "..",
    "/a b/$(touch CANARY)",
    "/tmp/'; touch CANARY; '",
  ],
  ...[
    "s3://bucket/$(touch CANARY)",
    "s3://bucket/a;touch CANARY",
    "gs://bucket/`touch CANARY`",
    "s3://bucket/ok-1.2",
  ],
  ...[
    "docker:x;touch§{IFS}CANARY",
    "docker:$(touch§{IFS}CANARY)",
    "docker:ubuntu:24.04",
    "x".repeat(5000),
    "",
  ],
].map((text) => text.replaceAll("CANARY", CANARY).replaceAll("§", "$"));

/** A setting that accepts text. */
export interface Slot {
  /** Prefix of the setting's name in a message. */
  readonly setting: string;
  /** Whether one configuration can have several values. */
  readonly many: boolean;
  readonly put: (values: readonly string[]) => Partial<ConfigInput>;
}

const first = (values: readonly string[]): string => values[0] ?? "";
const valued = (values: readonly string[]) =>
  Object.fromEntries(values.map((value, index) => [`HOSTILE_${index}`, value]));
const after = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value]);
const named = (values: readonly string[]) => Object.fromEntries(values.map((value) => [value, "value"]));
const one = (setting: string, put: (value: string) => Partial<ConfigInput>): Slot => ({
  setting,
  many: false,
  put: (values) => put(first(values)),
});
const many = (setting: string, put: Slot["put"]): Slot => ({ setting, many: true, put });

const pool = { role: "aggregated" } as const;
const DISK = { hostMemoryGB: 1, diskGB: 1 };

export const SLOTS: readonly Slot[] = [
  one("model", (model) => ({ model })),
  one("modelRevision", (modelRevision) => ({ model: "Qwen/Qwen3-8B", modelRevision })),
  one("servedModelName", (servedModelName) => ({ servedModelName })),
  one("kvOffload.diskPath", (diskPath) => ({
    kvOffload: { ...DISK, diskPath },
    router: { blockSize: 64 },
  })),
  many("engineArgs", (values) => ({ engineArgs: after("--chat-template", values) })),
  many("engineEnv", (values) => ({ engineEnv: valued(values) })),
  many("engineEnv", (values) => ({ engineEnv: named(values) })),
  many("pools[0].engineArgs", (values) => ({
    pools: [{ ...pool, engineArgs: after("--chat-template", values) }],
  })),
  many("pools[0].engineEnv", (values) => ({ pools: [{ ...pool, engineEnv: valued(values) }] })),
  one("pools[0].accelerator", (accelerator) => ({
    placement: "dedicated",
    pools: [{ ...pool, accelerator }],
  })),
  one("cluster.accelerator", (accelerator) => ({ cluster: { gpusPerNode: 1, accelerator } })),
  many("frontend.args", (values) => ({ frontend: { args: after("--metrics-prefix", values) } })),
  many("frontend.env", (values) => ({ frontend: { env: valued(values) } })),
  one("access.keys[0]", (key) => ({ access: { gateway: true, keys: [key] } })),
  one("access.retiredKeys[0].name", (name) => ({
    access: { gateway: true, retiredKeys: [{ name, graceUntil: "2030-01-01T00:00:00Z" }] },
  })),
  one("access.retiredKeys[0].graceUntil", (graceUntil) => ({
    access: { gateway: true, retiredKeys: [{ name: "old", graceUntil }] },
  })),
  one("sky.infra", (infra) => ({ sky: { infra } })),
  one("sky.image", (image) => ({ sky: { image } })),
  one("sky.instanceType", (instanceType) => ({ sky: { instanceType } })),
  one("sky.cpus", (cpus) => ({ sky: { cpus } })),
  one("sky.memory", (memory) => ({ sky: { memory } })),
  many("sky.labels", (values) => ({ sky: { labels: valued(values) } })),
  many("sky.labels", (values) => ({ sky: { labels: named(values) } })),
  many("sky.envs", (values) => ({ sky: { envs: valued(values) } })),
  many("sky.envs", (values) => ({ sky: { envs: named(values) } })),
  many("sky.config.docker.run_options", (values) => ({
    sky: { config: { docker: { run_options: [...values] } } },
  })),
  many("sky.config.slurm.sbatch_options", (values) => ({
    sky: { infra: "slurm/lab", config: { slurm: { sbatch_options: valued(values) } } },
  })),
  one("sky.registry.server", (server) => ({
    registryPassword: "secret",
    sky: { registry: { server, username: "me" } },
  })),
  one("sky.registry.username", (username) => ({
    registryPassword: "secret",
    sky: { registry: { server: "nvcr.io", username } },
  })),
];
