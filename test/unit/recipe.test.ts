/** The first lines of a recipe: how to launch it, and how to send a request. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { renderStack } from "../../cli/recipe";
import type { ConfigInput } from "../../config/schema";
import { planIn } from "../runtime";

const directory = mkdtempSync(join(tmpdir(), "recipe-"));
writeFileSync(join(directory, "Pulumi.yaml"), "name: recipe\nruntime: nodejs\n");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const INPUT: ConfigInput = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] };

function recipeOf(changes: Partial<ConfigInput> = {}): string {
  const config = Object.entries({ ...INPUT, ...changes }).map(([key, value]) => [`dynamo-sky:${key}`, value]);
  writeFileSync(join(directory, "Pulumi.one.yaml"), stringify({ config: Object.fromEntries(config) }));
  return renderStack("one", directory);
}

/** The comment at the top, without `#`. */
const headingOf = (recipe: string): string => (recipe.split("\n\n")[0] ?? "").replaceAll(/^# ?/gm, "");

/** The commands of the heading, run by a shell in which programs print their arguments instead. */
function ranBy(recipe: string): string[] {
  const commands =
    headingOf(recipe)
      .match(/^ {2}.*/gm)
      ?.join("\n") ?? "";
  const fakes = ["sky", "ssh"].map((name) => `${name}() { echo "${name} $*"; }`);
  const script = [...fakes, `curl() { cat >&2; printf '%s\\n' curl "$@" >&2; }`, commands, "wait"].join("\n");
  return execFileSync("bash", ["-c", `exec 2>&1; ${script}`], {
    encoding: "utf8",
    cwd: directory,
  }).split("\n");
}

describe("the commands at the top of a recipe", () => {
  it("launch it, ask its model with the key and the certificate of the node, and take it down", () => {
    const ran = ranBy(recipeOf());
    expect(ran).toContain("sky launch -c dynamo-serving examples/recipes/one.sky.yaml");
    expect(ran).toContain("Authorization: Bearer ssh dynamo-serving cat .dynamo-sky/access/api-key");
    expect(ran).toContain("ssh -N -L 8000:127.0.0.1:8000 dynamo-serving");
    const [curl, ...words] = ran.slice(ran.indexOf("curl"));
    expect([curl, ...words.slice(0, 6)]).toEqual([
      ...["curl", "-s", "--cacert", "endpoint.pem", "-H", "@-"],
      "https://127.0.0.1:8000/v1/chat/completions",
    ]);
    const body = words[words.indexOf("-d") + 1] ?? "";
    expect(JSON.parse(body)).toMatchObject({ model: "Qwen/Qwen3-8B", messages: [{ role: "user" }] });
    expect(ran.at(-2)).toBe("sky down dynamo-serving");
  });

  it.each([
    [{ task: "embedding" }, "https://127.0.0.1:8000/v1/embeddings"],
    [{ access: { tls: { mode: "off" } } }, "http://127.0.0.1:8000/v1/chat/completions"],
  ] as const)("send the request that the model is there for: %j", (changes, url) => {
    expect(ranBy(recipeOf(changes as Partial<ConfigInput>))).toContain(url);
  });

  it("need neither key nor certificate without a gateway, and say who may ask", () => {
    const recipe = recipeOf({ access: { gateway: false } });
    expect(ranBy(recipe)).not.toContain("--cacert");
    expect(recipe).not.toContain("Authorization");
    expect(headingOf(recipe)).toContain("asks nobody in the cluster's network for a key");
  });
});

describe("the plan of a recipe", () => {
  it("says at nested programs that they have what is above, and is the same data as without", () => {
    const recipe = recipeOf();
    expect(recipe).toMatch(/^ {4}programs: # each with all of the above$/m);
    const plan = parse(planIn(parse(recipe, { version: "1.1" }).run), { version: "1.1" });
    expect(plan.programs.at(-1).programs.length).toBeGreaterThan(1);
  });

  it("says which engines are experimental over several nodes", () => {
    const changes: Partial<ConfigInput> = {
      engine: "trtllm",
      cluster: { nodes: 2, gpusPerNode: 8, accelerator: "H100" },
      pools: [{ role: "aggregated", tensorParallel: 16 }],
    };
    expect(headingOf(recipeOf(changes))).toContain("experimental");
    expect(headingOf(recipeOf())).not.toContain("experimental");
  });
});
