/** A task as SkyPilot's YAML, with the plan as YAML in its `run`. The last step before a launch. Pure. */
import { Document, isMap, isSeq, Scalar, visit } from "yaml";
import { withEscapes } from "../lib/printable";
import { hereDocument } from "../lib/shell";
import type { PlanEntry } from "../plan/compact";
import { ENVIRONMENT, RUNTIME } from "./setup";
import type { SkyTask } from "./spec";

/** Longer commands are split over several lines. */
const LINE_WIDTH = 110;
const SHORT_COMMAND = 70;

/** Sections of SkyPilot's own configuration up to this length are written on one line. Unit: characters. */
const SHORT_SECTION = 200;
/** The same of a program's environment. */
const SHORT_ENV = 100;

/** Fields of a plan whose short lists and maps are written on one line. */
const IN_ONE_LINE = new Set(["gpus", "ports", "secrets", "waits", "lockstep", "mpi", "watch"]);

/**
 * Deterministic: equal tasks render to equal bytes.
 * @param heading Comment at the top, without `#`.
 */
export function taskText(task: SkyTask, heading?: string): string {
  const { num_nodes, resources, config, envs, secrets, file_mounts, volumes, setup } = task;
  const fields = {
    num_nodes,
    resources,
    config,
    envs,
    secrets: secrets && Object.fromEntries(secrets.map((name) => [name, null])),
    file_mounts,
    volumes,
    setup,
    run: runText(task.run),
  };
  const document = documentOf(
    Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)),
  );
  for (const field of ["setup", "run"]) literal(document.get(field, true));
  const sections = document.get("config", true);
  // Deeply nested, and not interesting to readers of the task.
  for (const { value } of isMap(sections) ? sections.items : [])
    if (isMap(value) && JSON.stringify(value).length <= SHORT_SECTION) value.flow = true;
  for (const field of ["envs", "secrets", "file_mounts"]) {
    const given = document.get(field, true);
    if (isMap(given) && given.items.length === 1) given.flow = true;
  }
  if (heading !== undefined) document.commentBefore = heading.replaceAll(/^/gm, " ").trimEnd();
  return withEscapes(document.toString({ lineWidth: 0 }));
}

function runText(run: SkyTask["run"]): string | undefined {
  if (run === undefined || typeof run === "string") return run;
  const words = ["exec", `~/${ENVIRONMENT}/bin/node-python`, `${RUNTIME}/start.py`, ...run.options];
  if (run.plan === undefined) return `${words.join(" ")}\n`;
  return `${words.join(" ")} ${hereDocument(planText(run.plan), "PLAN")}\n`;
}

function planText(plan: PlanEntry): string {
  const document = documentOf(plan);
  visit(document, {
    Pair: (_key, { key, value }) => {
      const name = key instanceof Scalar ? key.value : undefined;
      if ((isMap(value) || isSeq(value)) && typeof name === "string" && IN_ONE_LINE.has(name))
        value.flow = true;
      if (name === "env" && isMap(value) && JSON.stringify(value).length <= SHORT_ENV) value.flow = true;
      if (name === "command" && value instanceof Scalar) value.type = commandType(String(value.value));
      if (name === "files" && isMap(value)) for (const item of value.items) literal(item.value);
    },
    // A program that only has a placement.
    Map: (_key, map) => {
      if (map.has("name") && !map.has("command") && !map.has("env")) map.flow = true;
    },
  });
  const text = document.toString({ lineWidth: 0, indentSeq: false, flowCollectionPadding: false });
  return withEscapes(
    text
      .replaceAll(/^(?: *- )? *command: >-\n( +)(.*)$/gm, foldedBeforeFlags)
      // Not the plan's own list, which is not indented.
      .replaceAll(/^( +programs:)$/gm, "$1 # each with all of the above"),
  );
}

/** A folded scalar with a flag and its value on each line; a line's end is the space between two words. */
function foldedBeforeFlags(match: string, indent: string, command: string): string {
  const lines: string[] = [];
  for (const part of command.split(/ (?=-)/)) {
    const last = lines.at(-1);
    if (last !== undefined && `${indent}${last} ${part}`.length <= LINE_WIDTH)
      lines.push(`${lines.pop()} ${part}`);
    else lines.push(part);
  }
  return `${match.slice(0, -indent.length - command.length)}${lines.map((line) => `${indent}${line}`).join("\n")}`;
}

function literal(text: unknown): void {
  if (text instanceof Scalar && isPrintable(String(text.value))) text.type = Scalar.BLOCK_LITERAL;
}

/** Folded if that keeps all its spaces, unless it is short. */
function commandType(command: string): Scalar.Type {
  if (command.length < SHORT_COMMAND && !/["\\]/.test(command)) return Scalar.QUOTE_DOUBLE;
  return isPrintable(command) && !/\s\s|[\t\n\r]|^\s|\s$/.test(command)
    ? Scalar.BLOCK_FOLDED
    : Scalar.QUOTE_DOUBLE;
}

/** Whether it needs no escapes, which a block scalar cannot have. */
function isPrintable(text: string): boolean {
  return withEscapes(text) === text && [...text].every((character) => character >= " " || character === "\n");
}

/** SkyPilot and the nodes read it as YAML 1.1, in which a plain `on` or `1:30` is not a string. */
function documentOf(value: object): Document {
  const document = new Document(value, { compat: "yaml-1.1" });
  visit(document, {
    Scalar: (key, node: Scalar) => {
      // PyYAML and this library disagree on what else needs quotes: a tab, `=`.
      if (typeof node.value === "string" && key !== "key" && !/^[A-Za-z~][\w./:@+~-]*$/.test(node.value))
        node.type = Scalar.QUOTE_DOUBLE;
    },
  });
  return document;
}
