/** `dynamo-sky operate`: keeps a stack as large as its planner decides, and repairs what is lost. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { stateDir } from "../../lib/dirs";
import { withLock } from "../../lib/lock";
import { Progress } from "../../lib/progress";
import { CWD, NEEDED_STACK, verb } from "../command";
import { exitCodes, seconds } from "../commandLine";
import { OperatorMetrics } from "../operate/metrics";
import { type Action, Operator } from "../operate/operator";
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
  .option("--every <s>", "seconds between two looks for a decision", lookEvery, 2)
  .option("--drift-every <s>", "seconds between two looks for what is lost", driftEvery, 60)
  .option("--metrics-port <port>", "tell Prometheus what it does, at 127.0.0.1:<port>/metrics", metricsPort)
  .option("--json", "print one JSON object a line: {at,kind,text,replicas,seconds}", false)
  .action(
    async ({ stack, cwd, every: lookSeconds, driftEvery: driftSeconds, metricsPort: listenAt, json }) => {
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
        config,
      });
      const locks = join(stateDir(), "operators");
      mkdirSync(locks, { recursive: true, mode: 0o700 });
      await withLock(
        join(locks, `${opened.project.name}-${stack.replaceAll("/", "-")}`),
        { progress: new Progress(), signal },
        async () => {
          if (listenAt !== undefined) await metrics.listen(listenAt);
          await operator.run();
        },
        `another operator of ${stack} on this machine`,
      );
      // The listeners of signals would keep the process.
      process.exit();
    },
  );

function metricsPort(written: string): number {
  const port = Number(written);
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
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
