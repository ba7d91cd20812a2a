/** Encode workers: the images of a vision-language model, separate from its text. */

import { describe, expect, it } from "vitest";
import { DynamoCluster } from "../../components";
import { drawPlan } from "../../plan/drawing/text";
import { readySchema } from "../../plan/readySpec";
import { programsOf } from "../../plan/types";
import { runOnMocks } from "./componentsMocks";
import { type Deployment, planned, problemsOf } from "./planShapes";

const VISION = {
  model: "Qwen/Qwen2.5-VL-7B-Instruct",
  cluster: { gpusPerNode: 4, allowIdleGpus: true },
} as const;
const ENCODE = { role: "encode", replicas: 2 } as const;
const APART = [ENCODE, { role: "prefill" }, { role: "decode" }] as const;
const TOGETHER = [ENCODE, { role: "aggregated" }] as const;
type Pools = Deployment["pools"];

const withEncoders = (engine: "sglang" | "vllm" | "trtllm", pools: Pools, more: Partial<Deployment> = {}) =>
  planned({ ...VISION, engine, pools, ...more });

/** A worker's flags about its role and images. */
function told(engine: "sglang" | "vllm" | "trtllm", pools: Pools, name: string): string {
  const found = programsOf(withEncoders(engine, pools)).find((one) => one.name === name);
  const flags = /^--(disaggregation-mode|modality|encode-endpoint|enable-m|route-to|dedicated-mm)/;
  const { command = [] } = found ?? {};
  return command
    .flatMap((argument, at) => {
      if (!flags.test(argument)) return [];
      const next = command[at + 1];
      return next === undefined || next.startsWith("--") ? [argument] : [`${argument} ${next}`];
    })
    .filter((flag) => flag !== "--enable-metrics")
    .join(" ");
}

const refusal = (input: Deployment): string => problemsOf(input).join("\n");

describe("encode workers", () => {
  it.each([
    ["encode-1", "--disaggregation-mode encode --enable-multimodal"],
    ["prefill-0", "--disaggregation-mode prefill --enable-multimodal --enable-mm-embeds --route-to-encoder"],
    ["decode-0", "--disaggregation-mode decode --enable-multimodal --enable-mm-embeds"],
  ])("of vLLM, and who asks them: %s", (name, flags) => {
    expect(told("vllm", APART, name)).toBe(flags);
  });

  it.each([
    ["encode-1", "--disaggregation-mode encode --enable-multimodal"],
    ["prefill-0", "--disaggregation-mode prefill --enable-multimodal --dedicated-mm-encoder"],
    ["decode-0", "--disaggregation-mode decode --enable-multimodal --dedicated-mm-encoder"],
  ])("of SGLang, and whom they ask: %s", (name, flags) => {
    expect(told("sglang", APART, name)).toBe(flags);
  });

  it.each([
    ["encode-1", "--disaggregation-mode encode --modality multimodal"],
    [
      "prefill-0",
      "--disaggregation-mode prefill --modality multimodal --encode-endpoint dyn://dynamo.encode.generate",
    ],
    ["decode-0", "--disaggregation-mode decode --modality multimodal"],
  ])("of TensorRT-LLM, and who asks them: %s", (name, flags) => {
    expect(told("trtllm", APART, name)).toBe(flags);
  });

  it("go with aggregated workers too", () => {
    expect(told("vllm", TOGETHER, "aggregated-0")).toBe(
      "--enable-multimodal --enable-mm-embeds --route-to-encoder",
    );
    expect(told("sglang", TOGETHER, "aggregated-0")).toBe(
      "--disaggregation-mode pd --enable-multimodal --dedicated-mm-encoder",
    );
    expect(told("trtllm", TOGETHER, "aggregated-0")).toBe(
      "--disaggregation-mode agg --modality multimodal --encode-endpoint dyn://dynamo.encode.generate",
    );
  });

  it.each(["sglang", "vllm", "trtllm"] as const)("of %s keep no KV blocks and hand none over", (engine) => {
    const more = {
      kvOffload: { hostMemoryGB: 10 },
      router: { blockSize: 64 },
      kvTransfer: { backend: "UCX" },
    } as const;
    const programs = programsOf(withEncoders(engine, APART, more));
    const encoders = programs.filter(({ role }) => role === "encode");
    expect(encoders).toHaveLength(2);
    for (const { command, env, gpus, ports } of encoders) {
      expect(gpus).toHaveLength(1);
      expect([...command, ...Object.keys(env)].join(" ")).not.toMatch(
        /kv-events|kv-transfer|hicache|hierarchical|host_cache|NIXL|page-size|--block-size|transceiver|bootstrap|publish-kv/,
      );
      expect(Object.keys(ports).filter((purpose) => /kvEvents|sideChannel|bootstrap/.test(purpose))).toEqual(
        [],
      );
    }
  });

  it("are waited for, drawn, and resources of their own", async () => {
    const { expectedWorkers } = withEncoders("vllm", APART);
    expect(expectedWorkers).toEqual({ aggregated: 0, prefill: 1, decode: 1, encode: 2 });
    expect(readySchema.shape.expectedWorkers.parse(expectedWorkers)).toEqual(expectedWorkers);
    expect(drawPlan(withEncoders("vllm", APART))).toContain("E1");
    const { named } = await runOnMocks(
      "update",
      () =>
        new DynamoCluster("dynamo", { ...VISION, engine: "vllm", sky: { infra: "aws" }, pools: [...APART] }),
    );
    expect(named("dynamo-encode").type).toBe("dynamo-sky:index:EncodeWorkers");
  });

  it("are refused where the engine has none, plainly", () => {
    expect(refusal({ ...VISION, engine: "mocker", pools: APART })).toBe(
      'pools.0.role: "encode" is not there with engine mocker: Dynamo\'s simulated engine has no workers that look at pictures. Use a real engine, or remove the pool.',
    );
  });

  it("do not answer alone, and work on one GPU each", () => {
    expect(refusal({ ...VISION, engine: "vllm", pools: [ENCODE] })).toContain(
      "pools: all pools have role encode, whose workers only look at pictures.",
    );
    expect(refusal({ ...VISION, engine: "vllm", pools: [ENCODE, { role: "prefill" }] })).toContain(
      "there is a pool with role prefill and none with role decode",
    );
    const pools = [{ ...ENCODE, tensorParallel: 2 }, { role: "aggregated" }] as const;
    expect(refusal({ ...VISION, engine: "vllm", pools })).toContain(
      "an encode worker of Dynamo 1.6.1 works on one",
    );
  });
});
