/** Short questions to programs, for the checks of daemons. */
import { execFile } from "node:child_process";

const TIMEOUT_MS = 20_000;
const LONGEST_WORDS = 160;

/** Runs a check program; undefined if it succeeds with the expected output, otherwise what is missing. */
export function ask(
  what: string,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  wanted: (answer: string) => boolean = () => true,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...env }, timeout: TIMEOUT_MS };
    execFile(file, [...args], options, (error, stdout, stderr) => {
      if (error === null && wanted(stdout)) resolve(undefined);
      else resolve(`${what} (${lastWords(stderr) || lastWords(stdout) || "no answer"})`);
    });
  });
}

/** The last line, of which some programs make pages. */
function lastWords(output: string): string {
  return (output.trim().split("\n").at(-1) ?? "").slice(0, LONGEST_WORDS);
}
