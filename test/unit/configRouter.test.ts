/** Settings of the router that do not go together, or with others. */
import { expect, test } from "vitest";
import { type BadInput, messageOf } from "./configMessages";

const BAD: readonly BadInput[] = [
  [
    "KV knobs with round robin",
    { router: { mode: "round-robin", temperature: 0.5, replicaSync: true } },
    [
      'dynamo-sky:router.temperature: 0.5 has no effect: only router mode kv reads it, and the mode is round-robin. Remove it, or set router.mode to "kv".',
      'dynamo-sky:router.replicaSync: true has no effect: only router mode kv reads it, and the mode is round-robin. Remove it, or set router.mode to "kv".',
    ],
  ],
  [
    "load awareness with another mode",
    { router: { mode: "random", loadAware: true } },
    [
      'dynamo-sky:router.loadAware: true has no effect: only router mode kv reads it, and the mode is random. Remove it, or set router.mode to "kv".',
    ],
  ],
  [
    "prediction without events",
    { router: { kvEvents: false, predictedTtlSecs: 5 } },
    ["dynamo-sky:router.predictedTtlSecs: 5 needs router.kvEvents, which is false. Set it to true."],
  ],
  [
    "time-to-live with events",
    { router: { ttlSecs: 60 } },
    [
      "dynamo-sky:router.ttlSecs: 60 has no effect while router.kvEvents is true. Remove it, or set that to false.",
    ],
  ],
  [
    "blocks of answers, with a prefill pool",
    {
      pools: [
        { role: "prefill", replicas: 1 },
        { role: "decode", replicas: 1 },
      ],
      router: { trackOutputBlocks: true },
    },
    [
      "dynamo-sky:router.trackOutputBlocks: true does not work with prefill pools: their router would not start. Remove it, or use aggregated pools.",
    ],
  ],
  [
    "keyed hash without its key",
    { router: { trackingHash: "keyed-xxh3-v1" } },
    [
      'dynamo-sky:router.trackingKeyFile: is required with router.trackingHash "keyed-xxh3-v1". Set it.',
      'dynamo-sky:router.trackingKeyId: is required with router.trackingHash "keyed-xxh3-v1". Set it.',
    ],
  ],
  [
    "key without the keyed hash",
    { router: { trackingKeyId: "k1" } },
    [
      'dynamo-sky:router.trackingKeyId: "k1" has no effect with router.trackingHash "public-xxh3-v1". Remove it, or set that to "keyed-xxh3-v1".',
    ],
  ],
  [
    "simulated timing without its package",
    { engine: "mocker", frontend: { args: ["--router-prefill-load-model", "ais"] } },
    [
      'dynamo-sky:frontend.args[1]: "ais" needs the package aisimulate, which NVIDIA\'s images have and PyPI has as a stub, and engine mocker is installed from there. Remove it, or use a real engine.',
    ],
  ],
  [
    "simulated timing where no image is used",
    {
      engine: "sglang",
      sky: { infra: "slurm/cluster" },
      frontend: { args: ["--router-prefill-load-model=ais"] },
    },
    [
      'dynamo-sky:frontend.args[0]: "--router-prefill-load-model=ais" needs the package aisimulate, which NVIDIA\'s images have and PyPI has as a stub, and engine sglang is installed from there. Remove it, or name an image that has it (sky.image).',
    ],
  ],
  [
    "a soft affinity of no session",
    { router: { sessionAffinityMode: "soft" } },
    [
      'dynamo-sky:router.sessionAffinityMode: "soft" has no effect without router.sessionAffinityTtlSecs. Set that too, or remove this.',
    ],
  ],
  [
    "knobs of a guessed cache, and of known caches, the wrong way round",
    { router: { approximateCachePolicy: "lru" } },
    [
      'dynamo-sky:router.approximateCachePolicy: "lru" has no effect while router.kvEvents is true. Remove it, or set that to false.',
    ],
  ],
  [
    "blocks of the answer counted, and no others",
    { router: { trackOutputBlocks: true, trackActiveBlocks: false } },
    [
      "dynamo-sky:router.trackOutputBlocks: true needs router.trackActiveBlocks, which is false. Set it to true.",
    ],
  ],
  [
    "conditional disaggregation of what is not apart, without events",
    { router: { conditionalDisagg: true, kvEvents: false } },
    [
      "dynamo-sky:router.conditionalDisagg: true needs router.kvEvents, which is false. Set it to true.",
      "dynamo-sky:router.conditionalDisagg: true has no effect: there are no prefill and decode pools to choose between. Remove it, or use such pools.",
    ],
  ],
];

test.each(BAD)("%s", (_title, input, problems) => {
  expect(messageOf(input)).toBe(problems.join("\n"));
});
