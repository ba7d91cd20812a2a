import { afterEach, expect, test, vi } from "vitest";
import { askNode } from "../../lib/agent";
import { inherited } from "../../lib/inherited";

afterEach(() => vi.unstubAllEnvs());

test("what a program starts does not inherit its configuration", () => {
  const env = {
    PATH: "/bin",
    PULUMI_CONFIG: '{"a:token":"secret"}',
    PULUMI_CONFIG_SECRET_KEYS: '["a:token"]',
  };
  expect(inherited(env)).toEqual({ PATH: "/bin" });
});

test("nor does ssh to a node, whose connection outlives the program", async () => {
  vi.stubEnv("PULUMI_CONFIG", "secret");
  const shell = {
    command: "sh",
    args: () => ["-c", 'cat >/dev/null; echo "[\\"$SHOWN\\", \\"$PULUMI_CONFIG\\"]"'],
    env: { SHOWN: "shown" },
    directory: "/",
  };
  const answers: unknown[] = [];
  await askNode(shell, { clean: {} }, (answer) => answers.push(answer), new AbortController().signal);
  expect(answers).toEqual([["shown", ""]]);
});
