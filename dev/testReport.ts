/** What vitest's JSON report says of a run: how many tests passed, and which did not. */
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";
import { z } from "zod";

/** Numbers of tests passed, failed and skipped. */
export type Counts = readonly [passed: number, failed: number, skipped: number];

/** Outcome of a run of vitest. */
export interface Report {
  readonly counts: Counts;
  /** A line each: the tests that failed and the files that could not be run, each with its first error. */
  readonly failures: readonly string[];
}

const count = z.number().default(0);
const reportSchema = z.object({
  numPassedTests: count,
  numFailedTests: count,
  numPendingTests: count,
  numTodoTests: count,
  testResults: z
    .array(
      z.object({
        name: z.string(),
        status: z.string(),
        message: z.string().default(""),
        assertionResults: z
          .array(
            z.object({
              fullName: z.string(),
              status: z.string(),
              failureMessages: z.array(z.string()).nullish(),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
});

/** Nothing at all if it has not been written. */
export function reportIn(path: string, root: string): Report {
  if (!existsSync(path)) return { counts: [0, 0, 0], failures: [] };
  const report = reportSchema.parse(JSON.parse(readFileSync(path, "utf8")));
  const { numPassedTests, numFailedTests, numPendingTests, numTodoTests, testResults } = report;
  const failures = testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = relative(root, name);
    const failed = assertionResults.filter((one) => one.status === "failed");
    // Of a file that could not be loaded, or set up, no test has failed.
    if (failed.length === 0) return status === "failed" ? [`${file}: ${firstLine(message)}`] : [];
    return failed.map((one) => `${file} > ${one.fullName}: ${firstLine(one.failureMessages?.[0] ?? "")}`);
  });
  return { counts: [numPassedTests, numFailedTests, numPendingTests + numTodoTests], failures };
}

function firstLine(text: string): string {
  return text.split("\n", 1)[0]?.trim() ?? "";
}
