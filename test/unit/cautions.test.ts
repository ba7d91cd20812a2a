/** Warnings of previews. */
import { describe, expect, it } from "vitest";
import { cautionsOf } from "../../plan/cautions";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { type Deployment, SERVICES } from "./planShapes";

function cautions(written: Deployment): string[] {
  const config = parseConfig(written);
  return cautionsOf(config, plan(config, SERVICES));
}

const TRTLLM = { model: "Qwen/Qwen3-8B", engine: "trtllm" } as const;

describe("cautions", () => {
  it("are none of a usual deployment", () => {
    expect(cautions({ model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] })).toEqual([]);
  });

  it("say that TensorRT-LLM over several nodes is experimental, and of one node nothing", () => {
    const pools = [{ role: "aggregated", tensorParallel: 16 }] as const;
    const [told, ...others] = cautions({ ...TRTLLM, cluster: { nodes: 2 }, pools: [...pools] });
    expect(told).toMatch(/^TensorRT-LLM over several nodes is experimental/);
    expect(others).toEqual([]);
    expect(cautions({ ...TRTLLM, pools: [{ role: "aggregated", tensorParallel: 8 }] })).toEqual([]);
  });

  it("say that it would be down again before anybody has asked, where a start takes minutes", () => {
    const pools = [{ role: "aggregated", replicas: 8 }] as const;
    const rest = (afterMinutes: number, engine: "vllm" | "mocker" = "vllm") =>
      cautions({ model: "Qwen/Qwen3-8B", engine, pools: [...pools], idle: { afterMinutes } });
    expect(rest(1)).toContainEqual(expect.stringMatching(/^dynamo-sky:idle.afterMinutes: 1 is less than a/));
    expect(rest(5)).not.toContainEqual(expect.stringContaining("less than a start"));
    expect(rest(1, "mocker")).not.toContainEqual(expect.stringContaining("less than a start"));
  });

  it("say that a path as of a command here is one on the nodes", () => {
    const one = {
      role: "aggregated",
      engineArgs: ["--download-dir=~/weights", "--tokenizer-path", "/on/nodes"],
    } as const;
    const written = {
      model: "Qwen/Qwen3-8B",
      engineArgs: ["--chat-template", "./own.jinja"],
      pools: [{ ...one, replicas: 8, engineArgs: [...one.engineArgs] }],
    };
    const told = cautions(written);
    expect(told.map((line) => line.split(",")[0])).toEqual([
      'dynamo-sky:engineArgs has "./own.jinja"',
      'dynamo-sky:pools[0].engineArgs has "--download-dir=~/weights"',
    ]);
    expect(told.join()).toContain("{{FILES}}/NAME");
  });

  it("say that an endpoint without a gateway is open inside", () => {
    const open = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] } as const;
    expect(cautions({ ...open, pools: [...open.pools], access: { gateway: false } })).toEqual([
      expect.stringContaining("dynamo-sky:access.gateway: false"),
    ]);
  });

  it("say what is for SkyPilot on this machine, where it is not asked", () => {
    const local = { model: "Qwen/Qwen3-8B", target: "local", pools: [{ role: "aggregated" }] } as const;
    const told = (sky: Deployment["sky"]) =>
      cautions({ ...local, pools: [...local.pools], ...(sky ? { sky } : {}) });
    expect(told({ infra: "slurm/hpc", image: "docker:me/own:1", useSpot: false })).toEqual([
      "dynamo-sky:sky.infra, sky.image have no effect on target local, where SkyPilot is not asked.",
    ]);
    expect(told({ useSpot: true })).toEqual([
      "dynamo-sky:sky.useSpot has no effect on target local, where SkyPilot is not asked.",
    ]);
    expect(told({})).toEqual([]);
    expect(told(undefined)).toEqual([]);
  });

  it("say what SkyPilot leaves out on an infra without a word", () => {
    const usual = { model: "Qwen/Qwen3-8B", pools: [{ role: "aggregated", replicas: 8 }] } as const;
    const labels = { team: "search" };
    const docker = { run_options: ["--shm-size=16g"] };
    const told = (sky: Deployment["sky"]) =>
      cautions({ ...usual, pools: [...usual.pools], ...(sky ? { sky } : {}) });
    expect(
      told({ infra: ["aws", "nebius", "slurm/hpc"], labels, diskSizeGB: 500, config: { docker } }),
    ).toEqual([
      "dynamo-sky:sky.labels has no effect on nebius, slurm/hpc: SkyPilot leaves it out there.",
      "dynamo-sky:sky.diskSizeGB has no effect on slurm/hpc: SkyPilot leaves it out there.",
      "dynamo-sky:sky.config.docker.run_options has no effect on slurm/hpc: SkyPilot leaves it out there.",
    ]);
    expect(told({ infra: "lambda", diskSizeGB: 500 })).toHaveLength(1);
    expect(told({ infra: ["aws", "k8s/a", "ssh/rack"], labels, diskSizeGB: 500 })).toEqual([]);
    expect(told({ labels })).toEqual([]);
  });
});
