/** The router's options and the parsers in the configuration, compared with those of the installed Dynamo. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { REASONING_PARSERS, TOOL_CALL_PARSERS } from "../../config/parsers";
import { ROUTER_KNOBS, ROUTER_MODES } from "../../config/router";
import { ensureToolchain } from "../../toolchain/index";

/** Prints every option of the router: its flags, default, and choices. */
const SCRIPT = `
import argparse, json
from dynamo.common.configuration.groups.kv_router_args import KvRouterArgGroup
from dynamo.common.configuration.groups.router_args import RouterArgGroup
parser = argparse.ArgumentParser(add_help=False)
RouterArgGroup(default_router_mode="round-robin", include_frontend_only=True).add_arguments(parser)
KvRouterArgGroup().add_arguments(parser)
print(json.dumps([
    {"flags": action.option_strings, "default": action.default, "choices": action.choices}
    for action in parser._actions if action.help != argparse.SUPPRESS
]))
`;

interface Option {
  readonly flags: readonly string[];
  readonly default: unknown;
  readonly choices: readonly string[] | null;
}

/** Options that are no knobs here. */
const NO_KNOBS = new Set([
  // The mode has a key of its own.
  "--router-mode",
  // They do nothing in a frontend, or nothing yet.
  "--enforce-disagg",
  "--enable-session-prefix-index",
  // It needs a package that PyPI does not carry.
  "--router-prefill-load-model",
  // Going with Dynamo 1.7, for `policyConfig`.
  "--router-prefill-policy",
  "--router-decode-policy",
  // JSON, for `frontend.args`.
  "--router-conditional-disagg-config",
]);

/** The output of a script in the environment of the installed Dynamo. */
async function ofDynamo(script: string): Promise<string> {
  const { python } = await ensureToolchain({ need: ["python"] });
  if (python === undefined) throw new Error("no Python environment with Dynamo");
  // Without the shell's DYN_* variables, which would change the defaults.
  const { stdout } = await promisify(execFile)(python.path, ["-c", script], {
    env: { PATH: process.env["PATH"] },
  });
  return stdout;
}

test("parsers are those of Dynamo", async () => {
  const script =
    "import json; from dynamo import _core as core; print(json.dumps([sorted(core.get_reasoning_parser_names()), sorted(core.get_tool_parser_names())]))";
  const [reasoning, toolCalls] = JSON.parse(await ofDynamo(script));
  expect([...REASONING_PARSERS].sort()).toEqual(reasoning);
  expect([...TOOL_CALL_PARSERS].sort()).toEqual(toolCalls);
});

test("knobs, defaults and modes are those of Dynamo's own router", async () => {
  const options: Option[] = JSON.parse(await ofDynamo(SCRIPT));
  const knobs = new Map(ROUTER_KNOBS.map((knob) => [knob.flag, knob]));
  for (const option of options) {
    if (option.flags.some((flag) => NO_KNOBS.has(flag))) continue;
    const knob = option.flags.map((flag) => knobs.get(flag)).find((found) => found !== undefined);
    expect(knob, option.flags.join(" ")).toBeDefined();
    expect(knob?.default ?? null, option.flags.join(" ")).toBe(option.default);
    if (knob !== undefined) knobs.delete(knob.flag);
  }
  // Options of the frontend itself, not of its router.
  expect([...knobs.keys()]).toEqual(["--serve-indexer"]);
  const mode = options.find((option) => option.flags.includes("--router-mode"));
  expect([...(mode?.choices ?? [])].sort()).toEqual([...ROUTER_MODES].sort());
});
