/** Looks once a second at a deployment on this machine, with a gateway, that is under load. */
import { setTimeout as sleep } from "node:timers/promises";
import { deployedOf, nodesOf } from "../../cli/deployment/deployed";
import { registered } from "../../cli/internal/ready";
import { samplesOf } from "../../cli/status/metrics";
import { readyPath } from "../../lib/modelPath";
import { LOOPBACK } from "../../lib/placeholders";
import { FRONTEND } from "../../plan/metrics/dynamoSeries";
import type { WorkerRole } from "../../plan/types";

const EVERY_MS = 1000;

/** What was seen. */
export interface Sample {
  /** Unix time, seconds. */
  readonly at: number;
  /** Registered with the frontends. */
  readonly workers: number;
  /** Requests without a first token yet, of all frontends. */
  readonly queued: number;
}

export class Observer {
  private readonly samples: Sample[] = [];
  private readonly frontends: readonly string[];
  private readonly stopped = new AbortController();

  /** Begins to look. @param outputs Of the stack. @param role Whose workers are counted. */
  constructor(
    outputs: Readonly<Record<string, unknown>>,
    private readonly role: WorkerRole,
  ) {
    const deployed = deployedOf(outputs);
    this.frontends = nodesOf(deployed)
      .flatMap(({ programs }) => programs)
      .flatMap(({ role: is, ports }) =>
        is === "frontend" ? [`http://${LOOPBACK}:${ports["frontendHttp"]}`] : [],
      );
    const { model } = deployed;
    void this.#look(model, deployed.deployment.namespace);
  }

  /** The number of workers that was seen last. */
  get workers(): number {
    return this.samples.at(-1)?.workers ?? 0;
  }

  /** Waits until the number of workers is that. @throws Error if it does not become it in time. */
  async until(workers: number, seconds: number): Promise<void> {
    const end = Date.now() + seconds * 1000;
    while (this.workers !== workers) {
      if (Date.now() > end) throw new Error(`there were not ${workers} workers within ${seconds} s`);
      await sleep(EVERY_MS);
    }
  }

  stop(): readonly Sample[] {
    this.stopped.abort();
    return this.samples;
  }

  async #look(model: string, namespace: string): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      const pages = await Promise.allSettled(
        this.frontends.map((url) => fetch(`${url}/metrics`, { signal })),
      );
      const texts = await Promise.all(
        pages.map((page) => (page.status === "fulfilled" ? page.value.text() : "")),
      );
      const ready = await fetch(`${this.frontends[0]}/v1/${readyPath(model)}`, { signal }).catch(
        () => undefined,
      );
      if (ready?.ok === true) {
        const workers = registered(await ready.json(), namespace)[this.role];
        const queued = texts.reduce((sum, text) => sum + valueIn(text, FRONTEND.queued.name), 0);
        this.samples.push({ at: Date.now() / 1000, workers, queued });
      }
      await sleep(EVERY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }
}

/** The sum over all labels of a series on a page of metrics. */
export function valueIn(page: string, name: string): number {
  const samples = samplesOf(page.split("\n")).filter((sample) => sample.name === name);
  return samples.reduce((sum, { value }) => sum + value, 0);
}
