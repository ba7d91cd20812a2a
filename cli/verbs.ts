/** The verbs of `dynamo-sky`. A new one is a file in `commands/`, and a line here. */

/** Loaded when called: most need little of what others need. */
export const VERBS: Readonly<Record<string, () => { readonly command: { name(): string } }>> = {
  plan: () => require("./commands/plan") as typeof import("./commands/plan"),
  recipe: () => require("./commands/recipe") as typeof import("./commands/recipe"),
  status: () => require("./commands/status") as typeof import("./commands/status"),
  logs: () => require("./commands/logs") as typeof import("./commands/logs"),
  verify: () => require("./commands/verify") as typeof import("./commands/verify"),
  bench: () => require("./commands/bench") as typeof import("./commands/bench"),
  metrics: () => require("./commands/metrics") as typeof import("./commands/metrics"),
  pipeline: () => require("./commands/pipeline") as typeof import("./commands/pipeline"),
};
