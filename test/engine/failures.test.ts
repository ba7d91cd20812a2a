/**
 * What a person reads when `up` fails: the plain Pulumi CLI, real Dynamo, four workers whose arguments are
 * wrong.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { freePorts, type Ports } from "../../dev/freePorts";
import { namespaced, type TestProject, testProject } from "./programHarness";

const WORKERS = ["aggregated-0", "aggregated-1", "aggregated-2", "aggregated-3"];
/** What a person has on a screen. */
const MOST_LINES = 40;
/** Where Pulumi cuts the value of an output. */
const WIDTH = 150;

let project: TestProject;
let ports: Ports;

function configure(changes: Partial<ConfigInput> = {}): void {
  project.configure(
    "fail",
    namespaced({
      target: "local",
      model: "Qwen/Qwen3-8B",
      engine: "mocker",
      cluster: { nodes: 2, gpusPerNode: 4 },
      // All at once: a rolling update stops at the first.
      pools: [{ role: "aggregated", replicas: WORKERS.length, update: { strategy: "recreate" } }],
      ...ports,
      ...changes,
    }),
  );
}

/** What `pulumi up` prints, and whether it worked. */
async function up(): Promise<{ readonly worked: boolean; readonly lines: readonly string[] }> {
  const args = ["up", "--yes", "--skip-preview", "--suppress-progress", "--color", "never"];
  try {
    return { worked: true, lines: (await project.pulumi("fail", args)).split("\n") };
  } catch (error) {
    return { worked: false, lines: String((error as { stdout?: unknown }).stdout).split("\n") };
  }
}

/** The lines below a heading of Pulumi's, without the heading. */
function section(lines: readonly string[], heading: string): string[] {
  const start = lines.indexOf(heading);
  if (start < 0) return [];
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^\S/.test(line));
  return rest.slice(0, end < 0 ? undefined : end);
}

beforeAll(async () => {
  project = testProject("fails");
  ports = await freePorts();
  configure();
  await project.pulumi("fail", ["stack", "init", "--no-select"]);
  configure();
});
afterAll(() => project.remove());

describe("an update that fails", () => {
  it("comes after one that works, which tells its progress and outputs that fit", async () => {
    const { worked, lines } = await up();
    expect(worked, lines.join("\n")).toBe(true);
    // By the program, since the command's own output is for failures: nothing else shows that it is passed
    // on.
    for (const worker of WORKERS)
      expect(lines.join("\n")).toMatch(
        new RegExp(`dynamo-${worker} creat.*\\[ +[\\d.]+ s\\] ${worker} is healthy`),
      );
    const values = section(lines, "Outputs:");
    expect(values.join("\n")).toContain('"bin/dynamo-sky ask --stack fail"');
    expect(values.filter((line) => line.includes('..."') || line.length > WIDTH)).toEqual([]);
  });

  it("tells the cause first, once, and names all that it has hit", async () => {
    configure({ engineArgs: ["--speedup-ratio", "x7"], timeouts: { readySeconds: 60 } });
    const { worked, lines } = await up();
    expect(worked).toBe(false);
    const told = section(lines, "Diagnostics:");
    const text = told.join("\n");
    expect(told.length, text).toBeLessThanOrEqual(MOST_LINES);
    const causes = told.flatMap((line, at) =>
      /error: exit status 1/.test(line) ? [told[at + 1]?.trim()] : [],
    );
    const cause = ".*argument --speedup-ratio: invalid float value: 'x7'";
    const [full, ...others] = causes.toSorted((a) => (a?.includes(" as ") ? 1 : -1));
    expect(full).toMatch(new RegExp(`^aggregated-\\d failed: ${cause}$`));
    const first = full?.split(" ")[0];
    expect(others.toSorted()).toEqual(
      WORKERS.filter((worker) => worker !== first).map((worker) =>
        expect.stringMatching(new RegExp(`^${worker} failed as ${first} did: ${cause}$`)),
      ),
    );
    expect(text.match(/did not become healthy/g)).toHaveLength(1);
    for (const worker of WORKERS) expect(text).toMatch(new RegExp(`Its log: /.*/${worker}\\.log\\n`));
  });

  it("tells of progress once, above the causes", async () => {
    configure({ engineArgs: ["--speedup-ratio", "x8"], timeouts: { readySeconds: 60 } });
    const { lines } = await up();
    const above = lines.slice(0, lines.indexOf("Diagnostics:"));
    const waits = above.filter((line) => /\] waiting for aggregated/.test(line));
    expect(waits.length).toBeGreaterThanOrEqual(WORKERS.length);
    expect(waits.length).toBeLessThanOrEqual(4 * WORKERS.length);
    const told = section(lines, "Diagnostics:").join("\n");
    expect(told).not.toMatch(/\[ +[\d.]+ s\]/);
    // Another mistake: what was told of the first one does not count.
    expect(
      told.match(/^ +aggregated-\d failed: .*--speedup-ratio: invalid float value: 'x8'$/gm),
    ).toHaveLength(1);
  });

  it("leaves the outputs", async () => {
    configure({ engineArgs: ["--speedup-ratio", "x9"], timeouts: { readySeconds: 6 } });
    const { lines } = await up();
    const outputs = section(lines, "Outputs:");
    expect(outputs.join("\n")).toContain("endpoint");
    expect(outputs.filter((line) => /^\s+- /.test(line))).toEqual([]);
    const { endpoint } = JSON.parse(await project.pulumi("fail", ["stack", "output", "--json"]));
    expect(endpoint).toMatch(/^http:/);
  });
});
