/** Requests of the API server that were sent by a driver that is gone. */
import type { Launch } from "./launch";

/** Requests that change a cluster. Others are left alone. */
const CHANGING = new Set(["sky.launch", "sky.exec", "sky.start"]);

/**
 * Cancels requests of an interrupted launch. Their task is unknown, and two launches of one cluster would
 * wait for each other and then both start their task.
 *
 * @returns How many there were.
 */
export async function cancelRequests({
  input,
  sky,
  context,
}: Pick<Launch, "input" | "sky" | "context">): Promise<number> {
  const ids = (await sky.requests(input.cluster))
    .filter(({ name }) => CHANGING.has(name))
    .map(({ request_id }) => request_id);
  if (ids.length === 0) return 0;
  context.progress.line(
    `ending ${ids.length} unfinished launch of ${input.cluster} at SkyPilot's API server`,
  );
  await sky.must(["api", "cancel", "-y", ...ids]);
  return ids.length;
}
