/** Shows what a command does while it does it, in the row of its resource. `lib/progressRelay.ts` says why Pulumi does not. */
import { AsyncResource } from "node:async_hooks";
import { closeSync, readSync, rmSync } from "node:fs";
import { StringDecoder } from "node:string_decoder";
import * as pulumi from "@pulumi/pulumi";
import { type OpenRelay, openRelay } from "../lib/progressRelay";

const LOOK_EVERY_MS = 100;
const CHUNK_BYTES = 4096;

/** What is known of a command before it runs. */
export interface Relayed {
  readonly verb: string;
  /** What it reads from standard input. */
  readonly input: string;
  /** Of its resource. */
  readonly urn: pulumi.Output<string>;
}

/**
 * Begins to pass on what the command tells, which must not have started yet.
 * @returns Ends it, when the command has ended.
 */
export function relayProgress({ verb, input, urn }: Relayed): () => void {
  // Only then are commands run, and is there somebody to tell it to.
  if (pulumi.runtime.isDryRun() || !pulumi.runtime.hasEngine()) return () => undefined;
  const relay = openRelay(verb, input);
  const show = (line: string) => void pulumi.log.info(line, { urn } as pulumi.Resource, undefined, true);
  const pass = passingOn(relay, show);
  // A timer is called where the SDK does not know which engine an inline program belongs to.
  const timer = setInterval(AsyncResource.bind(pass), LOOK_EVERY_MS).unref();
  return () => {
    clearInterval(timer);
    pass();
    closeSync(relay.descriptor);
    rmSync(relay.path, { force: true });
  };
}

/** A function that shows the lines that were written since it was called last. */
function passingOn({ descriptor }: OpenRelay, show: (line: string) => void): () => void {
  const chunk = Buffer.alloc(CHUNK_BYTES);
  const decoder = new StringDecoder("utf8");
  let rest = "";
  let position = 0;
  return () => {
    for (;;) {
      const length = readSync(descriptor, chunk, 0, chunk.length, position);
      if (length === 0) return;
      position += length;
      const lines = (rest + decoder.write(chunk.subarray(0, length))).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) show(line);
    }
  };
}
