import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DeploymentConfig } from "../../config/deployment";
import { ConfigError } from "../../config/problems";
import { ROUTER_MODES } from "../../config/router";
import { configSchema } from "../../config/schema";
import { settingsOf } from "../../config/walk";
import { parseConfig } from "../../plan/config";
import { ENGINES, WORKER_ROLES } from "../../plan/types";

/** Parses the configuration, or returns the problems. Any error other than a ConfigError fails the test. */
function read(raw: unknown): DeploymentConfig | ConfigError {
  try {
    return parseConfig(raw);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
}

/** An input is accepted and unchanged when parsed again, or it is rejected with reasons. */
function expectReadOrRefused(raw: unknown): void {
  const result = read(raw);
  if (result instanceof ConfigError) {
    expect(result.problems.length).toBeGreaterThan(0);
    expect(result.message.split("\n")).toHaveLength(result.problems.length);
    for (const line of result.message.split("\n")) expect(line).toMatch(/^dynamo-sky(:|: )\S/);
  } else {
    expect(parseConfig(result)).toEqual(result);
    expect(parseConfig(JSON.parse(JSON.stringify(result)))).toEqual(result);
  }
}

const keys = [...new Set(settingsOf(configSchema).map(({ key }) => key))];
/** Meaningful words, so that random inputs are close to valid ones. */
const words = [
  ...ENGINES,
  ...WORKER_ROLES,
  ...ROUTER_MODES,
  "local",
  "sky",
  "shared",
  "dedicated",
  "Org/Name",
  "true",
  "8",
];
const leaf = fc.oneof(
  fc.constantFrom(...words),
  fc.integer({ min: -1, max: 20 }),
  // JSON, as which settings come, writes -0 as 0.
  fc.double().map((number) => (Object.is(number, -0) ? 0 : number)),
  fc.boolean(),
  fc.constant(null),
  fc.string(),
);
const { tree } = fc.letrec((tie) => ({
  tree: fc.oneof(
    { depthSize: "small" },
    leaf,
    fc.array(tie("tree"), { maxLength: 3 }),
    fc.dictionary(fc.oneof(fc.constantFrom(...keys), fc.string()), tie("tree"), { maxKeys: 4 }),
  ),
}));

const degree = fc.constantFrom(1, 2, 3, 4, 8);
const pool = fc.record(
  {
    role: fc.constantFrom(...WORKER_ROLES),
    replicas: fc.integer({ min: 1, max: 12 }),
    tensorParallel: degree,
    dataParallel: degree,
    pipelineParallel: fc.constantFrom(1, 2),
    expertParallel: degree,
    engineArgs: fc.array(fc.constantFrom("--a", "b"), { maxLength: 2 }),
    gpuMemoryFraction: fc.constantFrom(0.4, 1),
  },
  { requiredKeys: ["role"] },
);
/** Configurations in which each setting is valid by itself. */
const likely = fc.record(
  {
    model: fc.constantFrom("Org/Name", "/models/a", "s3://bucket/a"),
    target: fc.constantFrom("local", "sky"),
    engine: fc.constantFrom(...ENGINES),
    pools: fc.array(pool, { minLength: 1, maxLength: 3 }),
    cluster: fc.record(
      { nodes: fc.integer({ min: 1, max: 4 }), gpusPerNode: fc.integer({ min: 1, max: 8 }) },
      { requiredKeys: [] },
    ),
    placement: fc.constantFrom("shared", "dedicated"),
    router: fc.record(
      {
        mode: fc.constantFrom(...ROUTER_MODES),
        temperature: fc.constantFrom(0, 0.5),
        kvEvents: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
    frontend: fc.record({ port: fc.constantFrom(8000, 4222, 9000) }, { requiredKeys: [] }),
    contextLength: fc.constantFrom(4096, "4096"),
  },
  { requiredKeys: ["model"] },
);

describe("any input", () => {
  test("of JSON", () => {
    fc.assert(fc.property(fc.jsonValue(), expectReadOrRefused));
  });

  test("of the schema's own words in any order", () => {
    fc.assert(fc.property(tree, expectReadOrRefused), { numRuns: 300 });
  });

  test("with any value in place of any one setting", { timeout: 90_000 }, () => {
    const anyKey = fc.constantFrom(...Object.keys(configSchema.shape));
    fc.assert(
      fc.property(anyKey, tree, (key, value) => expectReadOrRefused({ model: "Org/Name", [key]: value })),
      { numRuns: 500 },
    );
  });

  test("near to right ones", () => {
    fc.assert(fc.property(likely, expectReadOrRefused), { numRuns: 300 });
  });

  test.each(["cpus", "memory"])("a number for sky.%s that would be written with an exponent", (key) => {
    for (const amount of [5e-324, 1e-7, 1e21]) {
      expectReadOrRefused({ model: "Org/Name", target: "sky", sky: { [key]: amount } });
      expect(read({ model: "Org/Name", target: "sky", sky: { [key]: amount } })).toBeInstanceOf(ConfigError);
    }
  });

  test("that no file holds", () => {
    const cyclic: Record<string, unknown> = {};
    cyclic["router"] = cyclic;
    for (const raw of [undefined, () => 1, Symbol("x"), 10n, Number.NaN, new Map(), cyclic, { model: 10n }]) {
      expectReadOrRefused(raw);
    }
  });
});

describe("reading", () => {
  test("leaves its input as it was", () => {
    fc.assert(
      fc.property(likely, (raw) => {
        const before = structuredClone(raw);
        read(raw);
        expect(raw).toEqual(before);
      }),
      { numRuns: 50 },
    );
  });

  test("gives the same problems whatever the order of the keys", () => {
    fc.assert(
      fc.property(likely, (raw) => {
        const turned = Object.fromEntries(Object.entries(raw).reverse());
        const [one, other] = [read(raw), read(turned)];
        if (one instanceof ConfigError) expect(other).toEqual(one);
        else expect(JSON.stringify(other)).toBe(JSON.stringify(one));
      }),
      { numRuns: 100 },
    );
  });

  test("local nodes hold the pools when nothing else is asked for", () => {
    fc.assert(
      fc.property(
        fc.array(pool, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 1, max: 4 }),
        (pools, nodes) => {
          const same = pools.map(({ replicas, tensorParallel }) => ({
            role: "aggregated",
            replicas,
            tensorParallel,
          }));
          const { cluster, ...config } = parseConfig({
            model: "Org/Name",
            target: "local",
            pools: same,
            cluster: { nodes },
          });
          const used = config.pools.reduce(
            (sum, { replicas, tensorParallel }) => sum + replicas * tensorParallel,
            0,
          );
          expect(cluster.nodes * cluster.gpusPerNode).toBeGreaterThanOrEqual(used);
        },
      ),
      { numRuns: 50 },
    );
  });
});
