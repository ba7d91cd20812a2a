/** The verbs of `dynamo-sky`. To add one, add a file in `commands/` and an entry here. */

interface Verb {
  /** One line for the list of verbs. */
  readonly summary: string;
  /** Loaded lazily: verbs share few dependencies. */
  readonly load: () => { readonly command: object };
}

export const VERBS: Readonly<Record<string, Verb>> = {
  plan: {
    summary: "what a stack would run where: nodes, GPUs, ports",
    load: () => require("./commands/plan") as typeof import("./commands/plan"),
  },
  size: {
    summary: "from a load and a promise to layouts with their prices, and a stack",
    load: () => require("./commands/size") as typeof import("./commands/size"),
  },
  recipe: {
    summary: "a stack as a plain SkyPilot recipe",
    load: () => require("./commands/recipe") as typeof import("./commands/recipe"),
  },
  status: {
    summary: "what runs where, how it does, and what it costs",
    load: () => require("./commands/status") as typeof import("./commands/status"),
  },
  logs: {
    summary: "what all programs have written, merged by time",
    load: () => require("./commands/logs") as typeof import("./commands/logs"),
  },
  ask: {
    summary: "ask the model something, or print the command of curl that does",
    load: () => require("./commands/ask") as typeof import("./commands/ask"),
  },
  verify: {
    summary: "does the router look at the workers' caches?",
    load: () => require("./commands/verify") as typeof import("./commands/verify"),
  },
  bench: {
    summary: "load a running deployment: tables and charts of what it gives",
    load: () => require("./commands/bench") as typeof import("./commands/bench"),
  },
  metrics: {
    summary: "targets, alerts and dashboards for a Prometheus and a Grafana",
    load: () => require("./commands/metrics") as typeof import("./commands/metrics"),
  },
  drift: {
    summary: "is a stack as its configuration wants it, and if not, why?",
    load: () => require("./commands/drift") as typeof import("./commands/drift"),
  },
  operate: {
    summary: "keep a stack as large as its load asks for, and repair what is lost",
    load: () => require("./commands/operate") as typeof import("./commands/operate"),
  },
  env: {
    summary: "the variables with which plain pulumi works in this shell",
    load: () => require("./commands/env") as typeof import("./commands/env"),
  },
  pipeline: {
    summary: "what a pipeline does, step by step",
    load: () => require("./commands/pipeline") as typeof import("./commands/pipeline"),
  },
};
