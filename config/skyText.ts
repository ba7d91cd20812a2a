/**
 * Text of `sky.config` that SkyPilot 0.14.1 pastes unquoted into a script or a command: common text is quoted
 * so that it arrives unchanged, and text that cannot be quoted is rejected. Pure.
 *
 * - `slurm.sbatch_options`: a line `#SBATCH --name=value` of a batch script
 *   (`_build_custom_sbatch_directives` of `provision/slurm/instance.py`). For bash that is a comment; sbatch
 *   splits it at white space, quotes, backslashes and `#`.
 * - `docker.run_options`: pasted into a YAML file (`templates/*-ray.yml.j2`), and from there into the command
 *   `docker run` (`provision/docker_utils.py`), which a shell on the node executes.
 * - `slurm.quota`, `slurm.cpu_partition`: names, which also become part of commands on the login node.
 */
import type { Problem, SettingPath } from "./problems";
import { sbatchProblem } from "./sbatch";
import { shellWords } from "./shellWords";
import { show } from "./values";

type Json = string | number | boolean | null | readonly Json[] | Settings;
interface Settings {
  readonly [key: string]: Json;
}

/** `Array.isArray` that also narrows read-only lists. */
const isList = (value: object): value is readonly Json[] => Array.isArray(value);

/** One kind of pasted setting, by the last part of its name. */
interface Pasted {
  /**
   * Why a text cannot be passed on; undefined if it can. `key` is the part of the path above it that is a
   * name.
   */
  readonly refuse: (text: string, key: string) => string | undefined;
  /** The text, quoted for SkyPilot. */
  readonly quote: (text: string, key: string) => string;
  /** Whether the keys below are names of options. */
  readonly hasNames: boolean;
}

const PLACES: Readonly<Record<string, Pasted>> = {
  sbatch_options: { refuse: refuseSbatch, quote: quoteSbatch, hasNames: true },
  run_options: { refuse: refuseDocker, quote: quoteDocker, hasNames: false },
  quota: { refuse: refuseName, quote: (text) => text, hasNames: false },
  cpu_partition: { refuse: refuseName, quote: (text) => text, hasNames: false },
};
/** Kubernetes has a `quota` too, which SkyPilot uses for labels only. */
const ONLY_BELOW: Readonly<Record<string, string>> = { quota: "slurm", cpu_partition: "slurm" };

function placeAt(path: SettingPath, key: string): Pasted | undefined {
  const place = Object.hasOwn(PLACES, key) ? PLACES[key] : undefined;
  const above = ONLY_BELOW[key];
  return above === undefined || path.includes(above) ? place : undefined;
}

/** Problems with text of `sky.config` that cannot be passed on. */
export function skyTextProblems(path: SettingPath, value: unknown): Problem[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, part]) => {
    const here = [...path, Array.isArray(value) ? Number(key) : key];
    const place = placeAt(path, key);
    return place === undefined ? skyTextProblems(here, part) : pastedProblems(here, part, key, place);
  });
}

function pastedProblems(path: SettingPath, value: unknown, key: string, place: Pasted): Problem[] {
  if (typeof value === "string") {
    const why = place.refuse(value, key);
    return why === undefined ? [] : [{ path, message: `${show(value)} ${why}` }];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, part]): Problem[] => {
    const isItem = Array.isArray(value);
    const here = [...path, isItem ? Number(name) : name];
    if (place.hasNames && !isItem && !OPTION_NAME.test(name))
      return [
        {
          path: here,
          message: `${show(name)} is not the name of an option. Allowed: letters, digits, - and _, such as exclude.`,
        },
      ];
    if (place.hasNames && typeof part === "object" && part !== null)
      return [
        {
          path: here,
          message: "is not one value. Allowed: text, a number, true, false, such as gpu[01-04].",
        },
      ];
    const why = place.hasNames ? sbatchProblem(name, part) : undefined;
    if (why !== undefined) return [{ path: here, message: why }];
    return pastedProblems(here, part, isItem ? key : name, place);
  });
}

/** `sky.config`, quoted for SkyPilot. */
export function quotedSkyConfig(config: Settings): Settings {
  return quotedSettings([], config);
}

function quotedSettings(path: SettingPath, settings: Settings): Settings {
  const quoted = Object.entries(settings).map(([key, part]) => {
    const place = placeAt(path, key);
    return [
      key,
      place === undefined ? quotedBelow([...path, key], part) : quotedIn(part, key, place),
    ] as const;
  });
  return Object.fromEntries(quoted);
}

function quotedBelow(path: SettingPath, value: Json): Json {
  if (typeof value !== "object" || value === null) return value;
  return isList(value) ? value.map((part) => quotedBelow(path, part)) : quotedSettings(path, value);
}

function quotedIn(value: Json, key: string, place: Pasted): Json {
  if (typeof value === "string") return place.quote(value, key);
  if (typeof value !== "object" || value === null) return value;
  if (isList(value)) return value.map((part) => quotedIn(part, key, place));
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, quotedIn(part, name, place)]));
}

const OPTION_NAME = /^[A-Za-z][\w-]*$/;
// Lone surrogates and characters invalid in YAML, too.
const CONTROL = /[\p{Cc}\p{Cs}\u2028\u2029\ufeff\ufffe\uffff]/u;
const ONE_LINE =
  "has a line end or another control character, which ends the line that it stands in. Remove it.";

/** SkyPilot uses accounts and queues in commands too. */
const NAMES: ReadonlySet<string> = new Set(["account", "qos"]);
/** A list has commas: `--qos=normal,high` of Slurm 24.11. */
const NAME = /^[\w.@+-]+(,[\w.@+-]+)*$/u;

function refuseName(text: string): string | undefined {
  return NAME.test(text)
    ? undefined
    : "goes into a command of SkyPilot as it is. Allowed: letters, digits and . _ @ + -, and commas in a list";
}

function refuseSbatch(text: string, key: string): string | undefined {
  if (NAMES.has(key)) return refuseName(text);
  return CONTROL.test(text) ? ONE_LINE : undefined;
}

/** Text that the user has already quoted for SkyPilot is kept. */
function quoteSbatch(text: string): string {
  if (/^("[^"\\]*"|'[^'\\]*')$/.test(text) || !/[\s'"\\#]/.test(text)) return text;
  return `"${text.replace(/[\\"]/g, "\\$&")}"`;
}

function refuseDocker(text: string): string | undefined {
  if (CONTROL.test(text)) return ONE_LINE;
  const words = shellWords(text);
  if (typeof words === "string") return words;
  if (words.some((word) => PUBLISHES.test(word)))
    return "publishes ports of the container, around the gateway. Remove it; sky.openEndpoint opens the endpoint.";
  return words.length === 0 || words.includes("")
    ? "is empty, or has an empty word, which SkyPilot cannot carry. Remove it."
    : undefined;
}

/**
 * `-p 80:80`, `-p80:80`, `-itP`, `--publish=…`: https://docs.docker.com/reference/cli/docker/container/run/
 */
const PUBLISHES = /^(-[dit]*[pP]|--publish(-all)?(=|$))/;

/**
 * Each word of the text as a shell reads it, with a backslash before characters that a shell or YAML may
 * interpret: quotes at the start would be taken by YAML.
 */
function quoteDocker(text: string): string {
  const words = shellWords(text);
  if (typeof words === "string") return text;
  const quoted = words.map((word) =>
    word.replace(/[^\p{L}\p{N}_./=,:@%+-]/gu, "\\$&").replace(/[: ]$/, "$&''"),
  );
  const [first = "", ...rest] = quoted;
  // Otherwise YAML would read a number, a boolean or a marker.
  const begun = /^--?[A-Za-z]|^\\/.test(first) ? first : `\\${first}`;
  return [begun, ...rest].join(" ");
}
