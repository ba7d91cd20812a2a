/** The program of the command plugin's contract: one resource per guarantee, before and after a change. */
import { join } from "node:path";
import { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type { PulumiFn } from "@pulumi/pulumi/automation";

/** The program before and after the change. */
export type Version = "first" | "second";

interface Scene {
  version: Version;
  /** A command that appends a line to a file, to record whether, and in which order, commands ran. */
  note(file: string, text: string): string;
}

/** Resources that show how a command runs. They do not change. */
function running({ note }: Scene) {
  new local.Command("trimmed", { create: "printf 'a\\n\\n'; printf 'no end' >&2" });
  new local.Command("stdin", { create: "cat", stdin: "from stdin" });
  new local.Command("stdinByName", { create: "sleep 0.1; cat /dev/stdin", stdin: "by name" });
  new local.Command("unread", { create: "exit 0", stdin: "x".repeat(1_000_000), logging: "none" });
  new local.Command("noStdin", { create: "wc -c" });
  new local.Command("devices", { create: "echo one > /dev/stdout; echo two | tee /dev/stderr" });
  new local.Command("environment", {
    create: 'echo "$OWN $CONTRACT_INHERITED"',
    environment: { OWN: "own" },
  });
  new local.Command("nothing", { delete: note("log", "nothing deleted") });
  new local.Command("pipefail", { create: "false | true" });
  new local.Command("lines", { create: "printf 'a\\r\\nb\\rc\\n\\nd'" });
  for (const logging of ["stdout", "stderr", "stdoutAndStderr", "none"] as const) {
    new local.Command(`logs-${logging}`, { create: "echo out; echo err >&2", logging });
  }
  new local.Command("a::b $x/é", { create: "echo named" });
}

/** Resources with secrets. */
function keepingSecrets({ version }: Scene) {
  const secret = pulumi.secret(version === "first" ? "s3cret-one" : "s3cret-two");
  new local.Command("secretEntry", { create: "echo $S | wc -c", environment: { S: secret, OPEN: "open" } });
  new local.Command("secretMap", {
    create: "echo $S",
    environment: pulumi.secret({ S: "shown by the command" }),
  });
  new local.Command(
    "secretStdin",
    { create: "cat", stdin: secret, logging: "none" },
    {
      additionalSecretOutputs: ["stdout"],
    },
  );
  new local.Command("secretCreate", { create: pulumi.interpolate`true ${secret}` });
}

/** Resources that change. */
function changing({ version, note }: Scene) {
  const second = version === "second";
  const environment = { A: second ? "2" : "1", B: "b" };
  const previous = 'echo "$PULUMI_COMMAND_STDOUT|$PULUMI_COMMAND_STDERR"';
  new local.Command("update", {
    create: `if test $A = 1; then echo made; echo err >&2; else ${note("log", "update of $A")}; ${previous}; fi`,
    delete: `${note("log", "delete of update: $PULUMI_COMMAND_STDOUT $A")}`,
    environment,
  });
  new local.Command("createAgain", { create: `${note("log", "createAgain $A")}; ${previous}`, environment });
  new local.Command("noPrevious", { create: previous, environment, addPreviousOutputInEnv: false });
  new local.Command("deleteOnly", {
    create: note("log", "deleteOnly ran"),
    delete: second ? note("log", "new delete") : note("log", "old delete"),
  });
  new local.Command(
    "ignored",
    { create: note("log", "ignored ran"), environment },
    {
      ignoreChanges: ["environment.A"],
    },
  );
  new local.Command(
    "ignoredOther",
    { create: 'echo "$A$B"', environment: { ...environment, B: version } },
    {
      ignoreChanges: ["environment.A"],
    },
  );
  new local.Command("added", { create: "true", ...(second && { stdin: "new" }) });
}

/** Resources that are replaced. */
function replaced({ version, note }: Scene) {
  const second = version === "second";
  const lifeOf = (name: string) => ({
    create: note("replaced", `create ${name}`),
    delete: note("replaced", `delete ${name} made by ${version}`),
  });
  new local.Command("trigger", { ...lifeOf("trigger"), triggers: [version, { deep: [1] }] });
  new local.Command(
    "deepTrigger",
    { ...lifeOf("deepTrigger"), triggers: ["a", { deep: [second ? 2 : 1] }] },
    {
      deleteBeforeReplace: true,
    },
  );
  new local.Command("triggerGone", { ...lifeOf("triggerGone"), ...(second ? {} : { triggers: [1] }) });
  new local.Command("triggerCame", { ...lifeOf("triggerCame"), ...(second ? { triggers: [] } : {}) });
}

/** Resources that need what others have printed. */
function chained({ version }: Scene) {
  const first = new local.Command("chainFirst", { create: `echo ${version}` });
  const second = new local.Command("chainSecond", {
    create: pulumi.interpolate`echo got ${first.stdout}`,
    environment: { FROM: first.stdout, KNOWN: "known" },
    stdin: first.stdout,
  });
  return second.stdout;
}

/**
 * The program in one of its versions.
 *
 * @param directory Directory for its commands' files.
 */
export function commandProgram(directory: string, version: Version): PulumiFn {
  const note = (file: string, text: string) => `echo "${text}" >> '${join(directory, file)}'`;
  const scene = { version, note };
  return async () => {
    running(scene);
    keepingSecrets(scene);
    changing(scene);
    replaced(scene);
    return { chained: chained(scene) };
  };
}
