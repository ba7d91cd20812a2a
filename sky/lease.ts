/**
 * `sky lease`: cheap checks before a launch. It exists for its counterpart `sky down`: a failed or
 * interrupted launch is not in Pulumi's state, but the lease before it is, so that `destroy` always tears the
 * cluster down.
 */
import { UserError } from "../lib/errors";
import { defineVerb } from "../lib/verb";
import { findSky } from "../toolchain/skypilot";
import { failureMessage } from "./failure";
import { type SkyLease, skyLeaseSchema } from "./spec";

const HEALTH_MS = 15_000;

export const verb = defineVerb({
  input: skyLeaseSchema,
  timeoutSeconds: ({ leaseTimeoutSeconds }) => leaseTimeoutSeconds,
  run: async ({ infra }: SkyLease, { progress, signal }) => {
    const { command } = await findSky(infra, progress.line);
    const server = process.env["SKYPILOT_API_SERVER_ENDPOINT"];
    if (server) await requireServer(server, signal);
    progress.line(`SkyPilot is here: ${command}${server ? `, with the API server ${server}` : ""}`);
  },
});

/**
 * A local API server is started on demand; a remote one must be running. Checked by HTTP, since starting
 * `sky` takes seconds.
 */
async function requireServer(server: string, signal: AbortSignal): Promise<void> {
  const url = `${server.replace(/\/+$/, "")}/api/health`;
  try {
    // Any response will do, even a login page; `sky launch` reports the rest.
    await fetch(url, { signal: AbortSignal.any([signal, AbortSignal.timeout(HEALTH_MS)]) });
  } catch (error) {
    signal.throwIfAborted();
    const cause =
      error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    throw new UserError(
      failureMessage("Nothing was launched", { kind: "unreachable", cause: `${server}: ${cause}` }),
    );
  }
}
