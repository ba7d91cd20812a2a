/** `dynamo-sky drift`: whether a stack matches its configuration, as an exit code for pipelines. */
import { CWD, json, NEEDED_STACK, timeout, verb } from "../command";
import { EXIT } from "../commandLine";
import { previewAsItRests } from "../deployment/resting";
import { driftOf } from "../pulumi/drift";
import { openStack } from "../pulumi/openStack";
import { preload } from "../pulumi/preload";
import { cancellation } from "../pulumi/signals";

export const command = verb(
  "drift",
  "Says whether a stack is as its configuration wants it, and if not, what is not and why. Changes nothing.",
  `Exit code: ${EXIT.ok} in sync, ${EXIT.drift} not in sync, ${EXIT.failed} it could not be found out.`,
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .addOption(timeout(900))
  .addOption(json("{inSync,drift:[{resource,kind,reason}],seconds}"))
  .action(async ({ stack, cwd, timeout: limit, json: isJson }) => {
    await preload(stack, cwd);
    const opened = await openStack({ projectDir: cwd, stack });
    const limits = cancellation(limit);
    const { steps, seconds } = await previewAsItRests(opened, limits);
    const drift = driftOf(steps);
    const inSync = drift.length === 0;
    if (isJson) console.log(JSON.stringify({ inSync, drift, seconds }, undefined, 2));
    else if (inSync) console.log(`${stack} is in sync (${seconds.toFixed(1)} s)`);
    else
      for (const { resource, kind, reason } of drift) console.log(`${stack} ${kind}: ${resource}: ${reason}`);
    process.exitCode = inSync ? EXIT.ok : EXIT.drift;
  });
