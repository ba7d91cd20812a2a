/**
 * Failures of a launch that pass by themselves: SkyPilot copies buckets and files to the nodes once, and ends
 * the launch where a bucket is busy or a connection breaks. Launched again it goes on with the same nodes,
 * and with the files that are there already. Pure.
 */
import type { Failure } from "./failure";
import type { Stage } from "./stages";

/** Unit: seconds. With the pauses of the cloud's own client in each attempt this is some ten minutes. */
const PAUSES = [15, 30, 60, 120] as const;
/** As in `runtime/retry_after.py`. Unit: seconds. */
const LONGEST_ASKED = 300;

/**
 * `parallel_data_transfer_to_nodes` and `_rsync` of
 * https://github.com/skypilot-org/skypilot/tree/v0.14.1/sky (`backends/backend_utils.py`,
 * `utils/command_runner.py`).
 */
const NOT_COPIED = /Failed to run command before rsync|Failed to rsync up/;
/** What asking again does not change: rights, names, and disks, which have causes of their own. */
const LASTING =
  /\b(AccessDenied|AccessDeniedException|NoSuch\w+|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|AllAccessDisabled|AuthorizationFailure|AuthenticationFailed|ContainerNotFound|Forbidden|Not Found)\b|\b40[134]\b|Unable to locate credentials/i;
const ASKED = /retry[- ]after["']?\s*[:=]\s*["']?(\d+)/i;

/**
 * How long to wait before the launch is tried again; undefined if it failed for good. Unit: seconds.
 *
 * @param lines What `sky launch` printed, with the output of the command on the node.
 * @param attempt Attempts before this one.
 * @param random From 0 to 1: stacks that failed together do not come back together.
 */
export function pauseBefore(
  {
    stage,
    failure,
    lines,
  }: { readonly stage: Stage; readonly failure: Failure; readonly lines: readonly string[] },
  attempt: number,
  random: number,
): number | undefined {
  const pause = PAUSES[attempt];
  if (pause === undefined || stage !== "syncing" || !passes(failure, lines)) return undefined;
  const asked = lines.flatMap((line) => ASKED.exec(line)?.[1] ?? []).at(-1);
  return (asked === undefined ? pause : Math.min(Number(asked), LONGEST_ASKED)) * (1 + random / 2);
}

function passes({ kind }: Failure, lines: readonly string[]): boolean {
  if (kind === "busy" || kind === "network") return true;
  const isCopy = lines.some((line) => NOT_COPIED.test(line));
  return kind === "unknown" && isCopy && !lines.some((line) => LASTING.test(line));
}
