/** What is told of a run of the tests, from a run of vitest itself. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { reportIn } from "../../dev/testReport";

const directory = mkdtempSync(join(tmpdir(), "dsky-report-"));
// Where the files find vitest.
symlinkSync(join(__dirname, "..", "..", "node_modules"), join(directory, "node_modules"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

it("counts the tests, and names those that failed and the files that could not be set up", () => {
  const file = (name: string, body: string) =>
    writeFileSync(
      join(directory, name),
      `import { beforeAll, describe, expect, it } from "vitest";\n${body}`,
    );
  file(
    "a.test.ts",
    'describe("a", () => { it("works", () => undefined); it.skip("waits", () => undefined); });',
  );
  file("b.test.ts", 'describe("b", () => { it("adds", () => expect(1 + 1).toBe(3)); });');
  file(
    "c.test.ts",
    'beforeAll(() => { throw new Error("no room"); }); it("is not reached", () => undefined);',
  );
  const report = join(directory, "report.json");
  const vitest = join(__dirname, "..", "..", "node_modules", "vitest", "vitest.mjs");
  const args = ["run", "--root", directory, "--reporter=json", `--outputFile=${report}`];
  const { status } = spawnSync(process.execPath, [vitest, ...args], { encoding: "utf8" });
  expect(status).toBe(1);
  const { counts, failures } = reportIn(report, directory);
  expect(counts).toEqual([1, 1, 2]);
  expect(failures.toSorted()).toEqual([
    "b.test.ts > b adds: AssertionError: expected 2 to be 3 // Object.is equality",
    expect.stringMatching(/^c\.test\.ts.*no room/),
  ]);
});

it("has nothing to say of a run that did not come to its end", () => {
  expect(reportIn(join(tmpdir(), "no-such-report.json"), "/")).toEqual({ counts: [0, 0, 0], failures: [] });
});
