/** `dynamo-sky operate`: keeps a stack as large as its planner decides, and repairs what is lost. */
import { mkdirSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { stateDir } from "../../lib/dirs";
import { withLock } from "../../lib/lock";
import { LOOPBACK } from "../../lib/placeholders";
import { Progress } from "../../lib/progress";
import { CWD, NEEDED_STACK, POLICY_PACK, POLICY_PACK_CONFIG, policiesOf, verb } from "../command";
import { exitCodes, seconds, wholeNumberIn } from "../commandLine";
import type { Action } from "../operate/journal";
import { OperatorMetrics } from "../operate/metrics";
import { reachedNodes } from "../operate/nodes";
import { Operator } from "../operate/operator";
import { planStack } from "../plannedStack";
import { openStack } from "../pulumi/openStack";
import { preload } from "../pulumi/preload";
import { UsageProblem } from "../pulumi/problem";
import { cancellation } from "../pulumi/signals";

export const command = verb(
  "operate",
  `Keeps a stack as it should be until it is stopped or the stack is destroyed: carries out what the planner decides (pools with
maxReplicas) and what its schedule says, takes it down when nobody asks (idle.afterMinutes), and repairs what is lost. Every change is an update by Pulumi, so its state, policies and limits hold.`,
  exitCodes({ ok: "it was stopped, or the stack destroyed", failed: "the stack is not up" }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .addOption(POLICY_PACK)
  .addOption(POLICY_PACK_CONFIG)
  .option("--every <s>", "seconds between two looks for a decision", lookEvery, 2)
  .option("--drift-every <s>", "seconds between two looks for what is lost", driftEvery, 60)
  .option("--metrics-port <port>", "tell Prometheus what it does, at <host>:<port>/metrics", metricsPort)
  .option("--metrics-host <address>", "address for that: others reach another one too", metricsHost, LOOPBACK)
  .option("--json", "print one JSON object a line: {at,kind,text,replicas,seconds}", false)
  .action(
    async ({
      stack,
      cwd,
      every: lookSeconds,
      driftEvery: driftSeconds,
      metricsPort: listenAt,
      metricsHost: host,
      json,
      ...packs
    }) => {
      const policyPacks = policiesOf(packs);
      await preload(stack, cwd);
      // The engine's own output would hide the lines of this.
      const opened = await openStack({ projectDir: cwd, stack, onProgress: () => undefined });
      const { signal: engineSignal, asked: signal } = cancellation();
      const metrics = new OperatorMetrics(stack);
      const tell = (action: Action) => {
        metrics.note(action);
        console.log(json ? JSON.stringify(action) : line(action));
      };
      const config = () => planStack(stack, cwd).config;
      const operator = new Operator(opened, {
        lookSeconds,
        driftSeconds,
        tell,
        seen: (state) => metrics.seen(state),
        signal,
        engineSignal,
        nodes: reachedNodes(signal),
        policyPacks,
        config,
      });
      const locks = join(stateDir(), "operators");
      mkdirSync(locks, { recursive: true, mode: 0o700 });
      await withLock(
        join(locks, `${opened.project.name}-${stack.replaceAll("/", "-")}`),
        { progress: new Progress(), signal },
        async () => {
          if (listenAt !== undefined) await metrics.listen(listenAt, host);
          await operator.run();
        },
        `another operator of ${stack} on this machine`,
      );
      // The listeners of signals would keep the process.
      process.exit();
    },
  );

function metricsHost(written: string): string {
  if (isIP(written) !== 0) return written;
  throw new UsageProblem(`--metrics-host ${written} is not an IP address. Allowed: such as 0.0.0.0.`);
}

function metricsPort(written: string): number {
  const port = wholeNumberIn(written, { least: 1, most: 65_535 });
  if (port !== undefined) return port;
  throw new UsageProblem(`--metrics-port ${written} is not a port. Allowed: 1 to 65535.`);
}

function lookEvery(written: string): number {
  return seconds("--every", written);
}

function driftEvery(written: string): number {
  return seconds("--drift-every", written);
}

function line({ at, kind, text, replicas, seconds: took }: Action): string {
  const counts = Object.entries(replicas).map(([role, count]) => `${role} ${count}`);
  const end = [...(took === undefined ? [] : [`${took.toFixed(1)} s`]), ...counts].join(", ");
  return `${at.slice(0, 19)}Z ${kind}: ${text}${end === "" ? "" : ` (${end})`}`;
}
