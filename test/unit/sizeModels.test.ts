/** Models that AIConfigurator knows, also by another name, and those that it does not. */
import { describe, expect, it } from "vitest";
import { questionOf as benchQuestion } from "../../cli/bench/prediction";
import { UsageProblem } from "../../cli/pulumi/problem";
import type { Said } from "../../cli/size/aiconfigurator";
import { estimateQuestion } from "../../cli/size/cached";
import { size } from "../../cli/size/size";
import { stackText } from "../../cli/size/stackFile";
import { summaryOf } from "./benchSummaries";
import { configIn, sizeOptions as options, recordedSources as sources } from "./sizeAsked";

describe("what AIConfigurator is asked about", () => {
  it("names the models that it knows, for one that it does not", async () => {
    const predict = async (): Promise<Said> => ({ known: ["a/b"], problem: "no config.json" });
    await expect(size(options(), { ...sources, predict })).rejects.toThrow(
      /^--model "Qwen\/Qwen3-8B": AIConfigurator .* does not know it.*no config.json(.|\n)*a\/b/,
    );
  });

  it("is of the model of the same shape that it carries, for Llama 3.3, whose name is in the stack", async () => {
    const model = "meta-llama/Llama-3.3-70B-Instruct";
    const asked = options({ model, gpus: "8", tpot: "40", engine: ["vllm"] });
    const { layouts, notes } = await size(asked, sources);
    const said = `${model} is predicted as meta-llama/Meta-Llama-3.1-70B, which has the same shape.`;
    expect(notes).toContain(said);
    const [layout] = layouts;
    if (layout === undefined) throw new Error("no layout");
    const text = stackText(layout, asked, { rank: 1, of: 4, deployed: "1" });
    expect(text).toContain(`# ${said}\n`);
    expect(configIn(text)).toMatchObject({ model });
    // Again with a cache, and of a deployment.
    const shares = { roundRobin: 0.5, kv: 0.5, requests: 1, kvTokens: [] };
    const again = estimateQuestion(layout, shares, asked).model;
    const pools = layout.roles.map(({ role, replicas, tp, dp, pp }) => ({
      ...{ role, replicas, tensorParallel: tp, dataParallel: dp, pipelineParallel: pp, accelerator: "H100" },
    }));
    const benched = benchQuestion({ engine: "vllm", layout: { model, pools } }, summaryOf("x", 1));
    if ("missing" in benched) throw new Error(benched.missing);
    expect([again, benched.question.model]).toEqual(Array(2).fill("meta-llama/Meta-Llama-3.1-70B"));
    expect((await size(options({ engine: ["vllm"] }), sources)).notes.join()).not.toContain("same shape");
  });

  it("refuses prompts that the model does not take, with both numbers", async () => {
    const predict = async (): Promise<Said> => ({ known: [], context: 40_960 });
    const asked = options({ isl: "100000" });
    const refused = size(asked, { ...sources, predict });
    await expect(refused).rejects.toThrow(UsageProblem);
    await expect(refused).rejects.toThrow(
      "--isl 100000 and --osl 500: a prompt with its answer has 100500 tokens, but the configuration of Qwen/Qwen3-8B says that it takes 40960 at most.",
    );
  });
});
