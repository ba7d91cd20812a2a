/** A program that ends soon after each start with the same error will not become healthy by waiting. Pure. */
import { causeIn, type Run, runsIn } from "./logs";

/** Starts in a row: what else is on the node or the network has a part in fewer. */
const ENOUGH = 4;
/**
 * From one start to the next, with the launcher's pause. An engine imports for half a minute before it reads
 * its settings; one that ends later had begun its work. Unit: milliseconds.
 */
const SOON_MS = 90_000;
/** What is of another program, of the network or of a GPU that an ended process still holds, and passes. */
const PASSING =
  /connect|refused|reset by peer|broken pipe|timed? ?out|unavailable|unreachable|resol(ve|ution)|temporar|try again|retry|not ready|lease|lock|in use|out of memory|OOM|busy|too many|rate limit|no responders|gone|\b(408|429|50\d)\b/i;

/**
 * The error with which as many starts in a row have ended as tell that the next one will end so too;
 * undefined if they have not, or it may pass.
 *
 * @param log The program's, with its launcher's lines.
 * @param since Starts before are not counted: their configuration may have been changed. Milliseconds since
 * 1970 by the clock of the node.
 */
export function repeatedError(log: readonly string[], since: number): string | undefined {
  const ended = runsIn(log).filter(({ startedAt, nextAt }) => startedAt >= since && nextAt !== undefined);
  const last = ended.slice(-ENOUGH);
  const errors = last.map(errorOf);
  const [first, ...others] = errors.map((error) => error && withoutNumbers(error));
  const error = errors.at(-1);
  if (last.length < ENOUGH || error === undefined || PASSING.test(error)) return undefined;
  return others.every((one) => one === first) ? error : undefined;
}

function errorOf({ lines, startedAt, nextAt = Number.POSITIVE_INFINITY }: Run): string | undefined {
  return nextAt - startedAt > SOON_MS ? undefined : causeIn(lines);
}

/** Times, process ids and addresses differ from start to start. */
function withoutNumbers(error: string): string {
  return error.replace(/0x[0-9a-f]+|\d+/gi, "0");
}
