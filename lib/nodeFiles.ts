/** Brings the deployment's files to a node through its agent: `runtime/brought.py` has the requests. */
import { z } from "zod";
import { askNode } from "./agent";
import { type BroughtFiles, entriesOf } from "./broughtFiles";
import type { NodeShell } from "./nodes";

const lackingSchema = z.strictObject({ lacking: z.array(z.string()) });

/** Those that are there with the same contents are not sent again. @returns Names of those that were sent. */
export async function bringFiles(
  shell: NodeShell,
  files: BroughtFiles,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const digests = Object.fromEntries(Object.entries(files).map(([name, { digest }]) => [name, digest]));
  if (Object.keys(digests).length === 0) return [];
  let lacking: readonly string[] = [];
  const onAnswer = (said: unknown) => ({ lacking } = lackingSchema.parse(said));
  await askNode(shell, { lacking: { files: digests } }, onAnswer, signal);
  for (const name of lacking) {
    const file = files[name];
    if (file === undefined) continue;
    const bring = { name, digest: file.digest, entries: entriesOf(file) };
    await askNode(shell, { bring }, () => undefined, signal);
  }
  return lacking;
}
