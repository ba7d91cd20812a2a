/** Prints the state of a deployment, once or repeatedly. */
import { setTimeout as delay } from "node:timers/promises";
import { messageOf } from "../../lib/run";
import type { Deployed } from "../deployment/deployed";
import { type Reach, reach } from "../deployment/reach";
import { drawStatus } from "./draw";
import { reportsOfNodes } from "./nodeReports";
import type { NodeAnswer } from "./report";
import { LiveScreen } from "./screen";
import { type Seen, type Status, statusOf } from "./status";

export interface ShowOptions {
  /** Name of the stack. */
  readonly title: string;
  readonly json: boolean;
  /** Seconds between two reports. */
  readonly interval: number;
  /** Time limit for a node's answer, seconds. */
  readonly timeout: number;
}

/** Maximum width without a terminal. */
const WIDTH = 100;
/** Querying SkyPilot takes seconds, and its answers rarely change. */
const CLUSTERS_EVERY_MS = 30_000;

/** Prints the state. @returns Whether everything is as it should be. */
export async function showOnce(deployed: Deployed, options: ShowOptions): Promise<boolean> {
  const { signal } = new AbortController();
  const place = await reach(deployed, signal);
  try {
    const clusters = await place.clusters();
    const looks = { times: 2, every: options.interval, timeoutSeconds: options.timeout, signal };
    const nodes = await reportsOfNodes(deployed, place, isUpIn(clusters), looks);
    const status = statusOf(deployed, { at: new Date(), clusters, nodes });
    process.stdout.write(options.json ? `${JSON.stringify(status, undefined, 2)}\n` : text(status, options));
    return status.healthy;
  } finally {
    place.close();
  }
}

function isUpIn(clusters: Seen["clusters"]): (name: string) => boolean {
  return (name) => clusters[name]?.status === "UP";
}

function text(status: Status, { title }: ShowOptions): string {
  const width = process.stdout.columns ?? WIDTH;
  return `${drawStatus(status, { width, colour: hasColour(), title }).join("\n")}\n`;
}

/** https://no-color.org */
export function hasColour(): boolean {
  return process.stdout.isTTY === true && !process.env["NO_COLOR"];
}

/** Shows the state until interrupted. */
export async function watch(deployed: Deployed, options: ShowOptions): Promise<void> {
  const stop = stopOnSignal();
  const place = await reach(deployed, stop);
  const screen = process.stdout.isTTY && !options.json ? new LiveScreen(process.stdout) : undefined;
  try {
    const watcher = new Watcher(deployed, place, options, stop);
    while (!stop.aborted) {
      const began = performance.now();
      const shown = await watcher.read().catch((error: unknown) => {
        if (stop.aborted) return undefined;
        // A failed query does not end the loop: SkyPilot may be back in a moment.
        process.stderr.write(`${messageOf(error)}\n`);
        return undefined;
      });
      if (shown !== undefined) print(shown, options, screen);
      const left = options.interval * 1000 - (performance.now() - began);
      await delay(Math.max(0, left), undefined, { signal: stop }).catch(() => undefined);
    }
  } finally {
    screen?.close();
    place.close();
  }
}

function print(status: Status, options: ShowOptions, screen: LiveScreen | undefined): void {
  if (options.json) process.stdout.write(`${JSON.stringify(status)}\n`);
  else if (screen === undefined) process.stdout.write(`${text(status, options)}\n`);
  else {
    const { columns: width, rows } = process.stdout;
    screen.show(drawStatus(status, { width, colour: hasColour(), title: options.title }), rows);
  }
}

/** Keeps the last reports, to compute differences. */
class Watcher {
  private clusters: Seen["clusters"] = {};
  private asked = Number.NEGATIVE_INFINITY;
  private readonly before = new Map<string, NodeAnswer>();

  constructor(
    private readonly deployed: Deployed,
    private readonly place: Reach,
    private readonly options: ShowOptions,
    private readonly signal: AbortSignal,
  ) {}

  async read(): Promise<Status> {
    const isLocal = this.deployed.deployment.target === "local";
    if (isLocal || performance.now() - this.asked > CLUSTERS_EVERY_MS) {
      this.clusters = await this.place.clusters();
      this.asked = performance.now();
    }
    const { timeout: timeoutSeconds } = this.options;
    const looks = { times: 1, every: 0, timeoutSeconds, signal: this.signal };
    const seen = await reportsOfNodes(this.deployed, this.place, isUpIn(this.clusters), looks);
    const nodes = seen.map((node) => {
      const key = `${node.cluster}/${node.rank}`;
      const last = this.before.get(key);
      this.before.set(key, node.answer);
      if ("unreachable" in node.answer || last === undefined || "unreachable" in last) return node;
      return { ...node, answer: { ...node.answer, earlier: last.now } };
    });
    return statusOf(this.deployed, { at: new Date(), clusters: this.clusters, nodes });
  }
}

/** Aborted by Ctrl-C, SIGTERM and SIGHUP: a normal end. */
export function stopOnSignal(): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const)
    process.once(name, () => controller.abort(new Error(`stopped by ${name}`)));
  // The reader may stop early: `… --watch | head`.
  process.stdout.on("error", () => controller.abort(new Error("nobody reads any more")));
  return controller.signal;
}
