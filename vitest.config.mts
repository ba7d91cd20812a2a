import { defineConfig } from "vitest/config";

/**
 * One project a kind of test, so that `npm test -- --project unit` runs one kind. Those that start engines,
 * services and workers run one file at a time: they would otherwise measure each other's load.
 */
function project(name: string, seconds: number, alone: boolean) {
  return {
    test: {
      name,
      include: [`test/${name}/**/*.test.ts`],
      environment: "node" as const,
      testTimeout: seconds * 1000,
      hookTimeout: seconds * 1000,
      fileParallelism: !alone,
      // Some of the programs under test are told apart by their process: give each file its own.
      pool: "forks" as const,
    },
  };
}

export default defineConfig({
  test: {
    projects: [
      project("unit", 60, false),
      project("contract", 120, true),
      project("engine", 120, true),
      project("dynamo", 240, true),
      project("pipelines", 240, true),
      project("lab", 600, true),
      project("kubernetes", 1800, true),
      project("engines", 1200, true),
    ],
    maxWorkers: 2,
  },
});
