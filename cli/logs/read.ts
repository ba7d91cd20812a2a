/** Reads logs from all nodes in parallel, and merges them by time. */
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { askNode, type LogsRequest } from "../../lib/agent";
import type { NodeShell } from "../../lib/nodes";
import { messageOf } from "../../lib/run";
import { type Line, merged, type TimedLine, Timeline } from "./merge";
import type { LogSource } from "./options";
import { Resume } from "./resume";
import { type NodeClock, timeOf } from "./time";

const answerSchema = z.union([
  z.object({ program: z.string(), line: z.string() }),
  z.object({ offset: z.number() }),
  z.object({ following: z.literal(true) }),
  z.object({}),
]);

/** A node, and which of its logs to read. */
export interface LogNode {
  /** For messages: `node 1 of main`. */
  readonly title: string;
  readonly shell: NodeShell | undefined;
  /** Indices in the list of all sources, by program. */
  readonly sources: ReadonlyMap<string, number>;
}

export interface ReadOptions {
  /** Last lines of each program; undefined for all. */
  readonly tail: number | undefined;
  /** Milliseconds since 1970; undefined for no limit. */
  readonly since: number | undefined;
  readonly follow: boolean;
  /** Time limit to read existing lines, seconds; following goes on until the signal. */
  readonly timeoutSeconds: number;
  readonly signal: AbortSignal;
  /** Called with lines in order. */
  readonly onLines: (lines: readonly TimedLine[]) => void;
  /** Called with warnings, such as a node that cannot be read. */
  readonly onProblem: (message: string) => void;
}

/** How long lines wait for earlier ones of other programs while following. */
const SETTLE_MS = 500;
const RECONNECT_MS = 3000;

/** @returns Whether all nodes could be read. */
export async function readLogs(nodes: readonly LogNode[], options: ReadOptions): Promise<boolean> {
  const reader = new Reader(options);
  const results = Promise.all(nodes.map((node) => reader.read(node)));
  if (options.follow) await reader.passOn(results);
  const readable = await results;
  reader.flush();
  return readable.every(Boolean);
}

class Reader {
  private readonly timeline = new Timeline();
  private waiting: Line[] = [];
  /** Position of each source: reading resumes there after a lost connection. */
  private readonly told = new Map<number, Resume>();

  constructor(private readonly options: ReadOptions) {}

  /** Reads one node to the end; while following, reconnects after a lost connection. */
  async read(node: LogNode): Promise<boolean> {
    const { follow, signal, onProblem } = this.options;
    let told = "";
    while (!signal.aborted) {
      const problem = await this.readOnce(node);
      if (!follow) {
        if (problem !== undefined) onProblem(`${node.title}: ${problem}`);
        return problem === undefined;
      }
      if (signal.aborted) break;
      const message = `${node.title}: ${problem ?? "the connection ended"}; trying again`;
      if (message !== told) onProblem(message);
      told = message;
      await delay(RECONNECT_MS, undefined, { signal }).catch(() => undefined);
    }
    return true;
  }

  private async readOnce({ shell, sources }: LogNode): Promise<string | undefined> {
    const { tail, since, follow, timeoutSeconds, signal } = this.options;
    if (shell === undefined) return "there is no such node any more";
    const resumes = [...sources.values()].flatMap((source) => this.told.get(source) ?? []);
    const isAgain = resumes.length > 0;
    const from = isAgain ? Math.min(...resumes.map((resume) => resume.since)) : since;
    const logs: LogsRequest = {
      programs: [...sources.keys()],
      tail: isAgain ? null : (tail ?? null),
      since: from === undefined ? null : from / 1000,
      follow,
    };
    const filters = new Map([...this.told].map(([source, resume]) => [source, resume.filter()]));
    let clock: NodeClock = { offsetSeconds: 0, now: Date.now() };
    const timeout = AbortSignal.timeout(timeoutSeconds * 1000);
    const take = (answer: unknown): void => {
      const told = answerSchema.parse(answer);
      if ("offset" in told) clock = { ...clock, offsetSeconds: told.offset };
      // The node answers: from now on a failure is a lost connection, not an unreachable node.
      for (const source of sources.values())
        if (!this.told.has(source)) this.told.set(source, new Resume(clock.now));
      if (!("program" in told)) return;
      const source = sources.get(told.program);
      if (source === undefined) return;
      const time = timeOf(told.line, clock);
      if (filters.get(source)?.(time) === false) return;
      this.told.get(source)?.note(time);
      this.waiting.push({ source, text: told.line, time });
    };
    try {
      await askNode(shell, { logs }, take, follow ? signal : AbortSignal.any([signal, timeout]));
      return undefined;
    } catch (error) {
      return timeout.aborted && !follow ? `no end of its logs within ${timeoutSeconds} s` : messageOf(error);
    }
  }

  /** While following: merges and passes on received lines after a short delay. */
  async passOn(end: Promise<unknown>): Promise<void> {
    let over = false;
    const ended = end.finally(() => {
      over = true;
    });
    while (!over) {
      await Promise.race([ended, delay(SETTLE_MS)]);
      this.flush();
    }
  }

  flush(): void {
    const lines = merged(this.timeline.add(this.waiting));
    this.waiting = [];
    const { since } = this.options;
    const wanted = since === undefined ? lines : lines.filter(({ at }) => at !== undefined && at >= since);
    if (wanted.length > 0) this.options.onLines(wanted);
  }
}

/** The nodes of some sources, with the index of each source. */
export function nodesOfSources(
  sources: readonly LogSource[],
  shell: (source: LogSource) => NodeShell | undefined,
): LogNode[] {
  const groups = new Map<string, { readonly source: LogSource; readonly place: number }[]>();
  for (const [place, source] of sources.entries()) {
    const key = `${source.cluster} ${source.rank}`;
    groups.set(key, [...(groups.get(key) ?? []), { source, place }]);
  }
  return [...groups.values()].flatMap((members): LogNode[] => {
    const [first] = members;
    if (first === undefined) return [];
    return [
      {
        title: `node ${first.source.rank} of ${first.source.cluster}`,
        shell: shell(first.source),
        sources: new Map(members.map(({ source, place }) => [source.name, place])),
      },
    ];
  });
}
