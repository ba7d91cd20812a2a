/** What an operator does, for Prometheus. */
import { createServer } from "node:http";
import { Counter, Gauge, Registry } from "prom-client";
import type { Action } from "./journal";
import { restsSince, type State } from "./state";

/** Series of one operator, each with the label `stack`. */
export class OperatorMetrics {
  readonly #registry = new Registry();
  readonly #actions: Counter<"kind">;
  readonly #seconds: Counter<"kind">;
  readonly #last: Gauge<"kind">;
  readonly #replicas: Gauge<"role">;
  readonly #asleep: Gauge;

  constructor(stack: string) {
    const registers = [this.#registry];
    this.#registry.setDefaultLabels({ stack });
    this.#actions = new Counter({
      name: "dynamo_sky_operator_actions_total",
      help: "Actions by kind; hold: a decision that was not carried out",
      labelNames: ["kind"],
      registers,
    });
    this.#seconds = new Counter({
      name: "dynamo_sky_operator_action_seconds_total",
      help: "Time that actions took",
      labelNames: ["kind"],
      registers,
    });
    this.#last = new Gauge({
      name: "dynamo_sky_operator_last_action_timestamp_seconds",
      help: "When the last action of a kind ended",
      labelNames: ["kind"],
      registers,
    });
    this.#replicas = new Gauge({
      name: "dynamo_sky_operator_replicas",
      help: "Replicas of pools with maxReplicas, by role",
      labelNames: ["role"],
      registers,
    });
    this.#asleep = new Gauge({
      name: "dynamo_sky_operator_asleep",
      help: "1 while the deployment, or its workers, are taken down by its schedule, or because nobody asked",
      registers,
    });
    this.#asleep.set(0);
  }

  note({ at, kind, seconds = 0 }: Action): void {
    this.#actions.inc({ kind });
    this.#seconds.inc({ kind }, seconds);
    this.#last.set({ kind }, Date.parse(at) / 1000);
  }

  seen(state: State): void {
    for (const [role, count] of Object.entries(state.replicas)) this.#replicas.set({ role }, count);
    this.#asleep.set(restsSince(state) === undefined ? 0 : 1);
  }

  /** Listens as long as the process runs. */
  async listen(port: number, host: string): Promise<void> {
    const server = createServer((request, response) => {
      if (request.url !== "/metrics") {
        response.writeHead(404).end("only /metrics is here\n");
        return;
      }
      void this.#registry.metrics().then((text) => {
        response.writeHead(200, { "Content-Type": this.#registry.contentType }).end(text);
      });
    });
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, resolve);
    });
  }
}
