/**
 * Rejects secrets in plain text: all that is not a setting for a secret is in the state, in the task and in
 * the recipe, readable by everybody who reads those. Messages never show the value.
 */
import { ENGINES, engines } from "../../engines";
import { FILES } from "../../lib/placeholders";
import type { Problem, SettingPath } from "../problems";
import { spelling } from "../reserved";
import type { Known } from ".";
import { containerEnvironments, environments } from "./environments";

/**
 * `https://user:password@host` (https://datatracker.ietf.org/doc/html/rfc3986#section-3.2.1), also where the
 * password has characters that ought to be escaped; `https://host:443/@scope` has none.
 */
const PASSWORD_IN_URL = /\b[a-z][a-z0-9+.-]*:\/\/(?!\[)[^\s/?#@:]*:(?!\d+(?:[/?#,;"'\]]|$))[^\s@]+@/i;
/** Clients take a proxy without `http://` too. */
const PROXY = /(?<!^no)_proxy$/i;
const PASSWORD_IN_PROXY = /^(?=((?:[a-z][a-z0-9+.-]*:\/\/)?))\1[^\s/?#@:]+:[^\s@]+@/i;
/** Flags whose value is a secret: of `--api-key`, `--hf-token`, `--ssl-keyfile-password`. */
const SECRET_FLAG = /^--(.*-)?(api-key|token|password|secret)$(?<!-per-token)/;
/** Names of variables whose value is one. The name of a file with one is not. */
const SECRET_VARIABLE =
  /(^|_)(TOKEN|API_?KEY|ACCESS_?KEY|SECRET|SECRET_?KEY|PASSWORD|PASSWD|PASSPHRASE)$(?<!PER_TOKEN)/i;
/** The hub's have a message of their own (`model.ts`). */
const OF_THE_HUB = /^(HF_TOKEN|HUGGING_FACE_HUB_TOKEN)$/;

const PLAIN = "would stand in plain text in the state, in SkyPilot's task and in the recipe";
const BY_FILE = `put it into a file, name that in dynamo-sky:files, and give the program its path, ${FILES}/NAME, where it takes one`;

export function secretChecks(known: Known): Problem[] {
  return [
    ...Object.entries(known).flatMap(([key, value]) => urlProblems([key], value)),
    ...variableProblems(known),
    ...argumentProblems(known),
  ];
}

function urlProblems(path: SettingPath, value: unknown): Problem[] {
  if (typeof value === "string") {
    const isProxy = PROXY.test(String(path.at(-1)));
    if (!PASSWORD_IN_URL.test(value) && !(isProxy && PASSWORD_IN_PROXY.test(value))) return [];
    const message = `has an address with a password in it, which ${PLAIN}. Remove the password: let a proxy or a mirror admit the nodes by their address, or set the variable in the nodes' image; for a program, ${BY_FILE}.`;
    return [{ path, message }];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => urlProblems([...path, index], item));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) => urlProblems([...path, key], item));
}

/** A path is the name of a file with the secret, and an empty value none. */
const isSecret = (value: string): boolean => value !== "" && !/^(\/|~\/|\{\{)/.test(value);

function variableProblems(known: Known): Problem[] {
  const holds = (name: string) => `holds a secret, which ${PLAIN}. Remove it; ${insteadOf(name)}.`;
  return [
    ...environments(known).flatMap(({ path, env = {} }) =>
      Object.entries(env)
        .filter(([name, value]) => SECRET_VARIABLE.test(name) && !OF_THE_HUB.test(name) && isSecret(value))
        .map(([name]) => ({ path: [...path, name], message: holds(name) })),
    ),
    ...containerEnvironments(known).flatMap(({ path, env }) =>
      Object.entries(env)
        .filter(([name, value]) => SECRET_VARIABLE.test(name) && isSecret(value))
        .map(([name]) => ({ path, message: `${name} ${holds(name)}` })),
    ),
  ];
}

function argumentProblems({ engine, engineArgs = [], pools = [], frontend }: Known): Problem[] {
  const places = [
    { path: ["engineArgs"], args: engineArgs },
    ...pools.map((pool, index) => ({ path: ["pools", index, "engineArgs"], args: pool.engineArgs })),
    { path: ["frontend", "args"], args: frontend?.args ?? [] },
  ];
  return places.flatMap(({ path, args }) =>
    args.flatMap((argument, index): Problem[] => {
      const [written = "", ...value] = argument.split("=");
      const flag = spelling(written);
      if (!SECRET_FLAG.test(flag) || !isSecret(value.length > 0 ? value.join("=") : (args[index + 1] ?? "")))
        return [];
      // A name that this engine has for something else.
      if (engine !== undefined && engines[engine].table.flags[flag] === "none") return [];
      return [
        {
          path: [...path, index],
          message: `${flag} takes a secret, which ${PLAIN}. Remove it; ${insteadOf(flag)}.`,
        },
      ];
    }),
  );
}

/** Keys that a server would ask its clients for. */
const API_KEYS = [...ENGINES.map((engine) => engine.toUpperCase()), "OPENAI", "DYN"].map(
  (owner) => `${owner}_API_KEY`,
);

function insteadOf(name: string): string {
  if (/hf|hugging/i.test(name))
    return "use the secret huggingFaceToken instead: pulumi config set --secret dynamo-sky:huggingFaceToken";
  if (/^--(admin-)?api-key$/.test(name) || API_KEYS.includes(name))
    return "the gateway asks clients for keys (access.keys), and nothing else reaches the workers";
  return BY_FILE;
}
