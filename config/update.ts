import { oneOf, optional, section, setting, whole } from "./values";

/** How a change reaches the replicas of a pool: one after the other, or all at once. */
export const UPDATE_STRATEGIES = ["rolling", "recreate"] as const;
export type UpdateStrategy = (typeof UPDATE_STRATEGIES)[number];

/** How running replicas are changed. */
export const updateSchema = section({
  strategy: optional(oneOf("a strategy", UPDATE_STRATEGIES), {
    absent: "rolling with more than one replica, else recreate",
    about:
      "How a change reaches them: one after the other, each drained before and proven to serve after it (`rolling`), or all at once, with an outage (`recreate`).",
  }),
  maxUnavailable: setting(whole({ min: 1, max: 10_000 }), {
    default: 1,
    unit: "replicas",
    about: "How many of them may be away at a time while they are changed.",
  }),
  minReadySeconds: setting(whole({ min: 0, max: 86_400, noun: "a whole number of seconds" }), {
    default: 0,
    unit: "seconds",
    about: "How long a changed one must have served before the next one is changed.",
  }),
});
