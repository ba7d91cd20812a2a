/** The pools of stacks that say none. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { bestLayouts } from "../../cli/size/best";
import { namedSettings } from "../../config/problems";
import { realEngines, usualEngine } from "../../engines";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { BEST_LAYOUTS, type BestLayout, poolsNote } from "../../plan/usualPools";
import { SERVICES } from "./planShapes";
import { sizeRecords } from "./sizeAsked";

const root = packageRoot();
const known = BEST_LAYOUTS.map((one) => {
  const { model, engine, accelerator, nodes, gpusPerNode } = one;
  return [`${model}, ${engine}, ${nodes} × ${gpusPerNode} ${accelerator}`, one] as const;
});

/** All that a stack says that rests on the table. */
const bare = ({ model, engine, accelerator, nodes, gpusPerNode }: BestLayout) => ({
  ...{ model, engine },
  cluster: { nodes, gpusPerNode, accelerator },
});

describe("the table", () => {
  it("is what size chooses of AIConfigurator's answers: npx tsx dev/bestLayouts.ts", async () => {
    expect(BEST_LAYOUTS).toEqual(await bestLayouts(sizeRecords));
  });

  it("has a layout of eight GPUs for every real engine", () => {
    const single = BEST_LAYOUTS.filter(({ nodes, gpusPerNode }) => nodes * gpusPerNode === 8);
    expect([...new Set(single.map(({ engine }) => engine))].toSorted()).toEqual(realEngines().toSorted());
  });

  it.each(known)("is what a stack without pools gets, and no GPU is idle: %s", (_, best) => {
    const config = parseConfig(bare(best));
    expect(config.pools).toMatchObject(best.pools);
    expect(parseConfig(config)).toEqual(config);
    const { clusters } = plan(config, SERVICES);
    expect(clusters.flatMap(({ nodes }) => nodes.flatMap(({ idleGpus }) => idleGpus))).toEqual([]);
    const note = poolsNote(bare(best), config);
    expect(note).toContain(`so ${best.layout}: what \`dynamo-sky size\` chooses for ${best.model}`);
    expect(note).toContain(`within ${best.ttft} ms to the first token and ${best.tpot} ms`);
  });
});

describe("a stack that is not in the table has one worker on one GPU", () => {
  const [best] = BEST_LAYOUTS.filter(({ engine, nodes }) => engine === usualEngine("sky") && nodes === 1);
  if (best === undefined) throw new Error("the table is empty");
  const one = [expect.objectContaining({ role: "aggregated", replicas: 1, tensorParallel: 1 })];

  it.each([
    ["another model", { model: "m/m" }],
    ["another accelerator", { cluster: { ...bare(best).cluster, accelerator: "L4" } }],
    ["other nodes", { cluster: { ...bare(best).cluster, nodes: best.nodes + 2 } }],
    ["clusters of its own for each replica", { placement: "dedicated", cluster: undefined }],
    ["another task", { task: "embedding" }],
  ])("%s, and it is said", (_, change) => {
    const written = { ...bare(best), ...change };
    const config = parseConfig(written);
    expect(config.pools).toEqual(one);
    expect(poolsNote(written, config)).toMatch(
      /^pools: not said, so one worker on one GPU: .* not known here/,
    );
  });

  it("is told to ask `size` where that leaves GPUs idle", () => {
    const config = parseConfig({ ...bare(best), model: "m/m" });
    const message = `${best.gpusPerNode - 1} of ${best.gpusPerNode} GPUs would sit idle (node 0: 7). Let \`dynamo-sky size --model m/m --gpus 8\` choose pools (without any there is one worker on one GPU), or set pools[0].replicas to 8, or set cluster.gpusPerNode to 1, or set this to true to accept it.`;
    expect(() => plan(config, SERVICES)).toThrow(message);
    // Whoever says two has thought about it.
    const two = parseConfig({ ...bare(best), pools: [{ role: "aggregated", replicas: 2 }] });
    expect(() => plan(two, SERVICES)).toThrow("Set pools[0].replicas to 8, or");
  });

  it("and on this machine, where nothing needs to be said", () => {
    const written = { model: best.model, target: "local" };
    const config = parseConfig(written);
    expect(config.pools).toEqual(one);
    expect(poolsNote(written, config)).toBeUndefined();
  });
});

describe("pools that are said", () => {
  it("stay, and need no word", () => {
    const [best] = BEST_LAYOUTS;
    if (best === undefined) throw new Error("the table is empty");
    const written = { ...bare(best), pools: [{ role: "aggregated", replicas: 3 }] };
    const config = parseConfig(written);
    expect(config.pools).toMatchObject([{ replicas: 3, tensorParallel: 1 }]);
    expect(poolsNote(written, config)).toBeUndefined();
  });

  it("are in every stack of the repository, which stays what it shows", () => {
    const examples = readdirSync(join(root, "examples", "stacks")).map((file) =>
      join("examples", "stacks", file),
    );
    const own = readdirSync(root).filter((file) => /^Pulumi\..+\.yaml$/.test(file));
    const stacks = [...own, ...examples].filter((file) => file.endsWith(".yaml"));
    expect(stacks.length).toBeGreaterThan(8);
    for (const file of stacks)
      expect(parse(readFileSync(join(root, file), "utf8")).config, file).toHaveProperty("dynamo-sky:pools");
  });
});

describe("plan", () => {
  const directory = mkdtempSync(join(tmpdir(), "dynamo-sky-pools-"));
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  it("says which pools a stack has that says only its model", () => {
    writeFileSync(join(directory, "Pulumi.yaml"), "name: bare\nruntime: nodejs\n");
    const config = namedSettings({ model: "Qwen/Qwen3-8B" });
    writeFileSync(join(directory, "Pulumi.bare.yaml"), stringify({ config }));
    const args = ["plan", "--stack", "bare", "--cwd", directory];
    const said = spawnSync(join(root, "bin", "dynamo-sky"), args, { encoding: "utf8", timeout: 60_000 });
    expect(said.stderr).not.toContain("rror");
    expect(said.stdout).toMatch(/^pools: not said, so 4 × TP2: what `dynamo-sky size` chooses for Qwen/m);
  }, 60_000);
});
