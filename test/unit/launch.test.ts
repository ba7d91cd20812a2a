/** Values that `runtime/launch.py` determines on the node, called from Python: `gpus.py`, `network.py`. */
import { spawnSync } from "node:child_process";
import { networkInterfaces } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

function python(script: string): unknown {
  const { stdout, stderr } = spawnSync("python3", ["-B", "-c", `import json\n${script}`], {
    cwd: join(__dirname, "../../runtime"),
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

/** The program's CUDA_VISIBLE_DEVICES, or why it cannot have its GPUs. */
function chosen(numbers: readonly number[], inherited?: string): unknown {
  const env = JSON.stringify(inherited === undefined ? {} : { CUDA_VISIBLE_DEVICES: inherited });
  return python(`import gpus
try: print(json.dumps(gpus.chosen(${JSON.stringify(numbers)}, ${env})))
except gpus.TooFew as error: print(json.dumps({"refused": str(error)}))`);
}

describe("the plan's GPUs on a node", () => {
  test.each([
    ["nothing is hidden", undefined, "0,1"],
    ["Slurm gave the second half of a machine", "4,5,6,7", "4,5"],
    ["in another order", "3,1,0", "3,1"],
    [
      "by UUID, also shortened",
      "GPU-52dcce24-d177-2548-f177-5cbaaeb829ac, GPU-afb",
      "GPU-52dcce24-d177-2548-f177-5cbaaeb829ac,GPU-afb",
    ],
    [
      "MIG instances, by both kinds of name",
      "MIG-0f1b-9c,MIG-GPU-52dcce24/1/0",
      "MIG-0f1b-9c,MIG-GPU-52dcce24/1/0",
    ],
  ])("are those that it was given: %s", (_, inherited, expected) => {
    expect(chosen([0, 1], inherited)).toBe(expected);
  });

  test.each([
    ["fewer than the plan uses", "4", 1],
    ["none", "", 0],
    ["none, as older Slurm says", "NoDevFiles", 0],
    ["fewer, since CUDA reads to the first that it does not know", "2,-1,3", 1],
    ["none, since CUDA shows nothing where one is named twice", "2,2", 0],
  ])("are refused where there are %s", (_, inherited, shown) => {
    expect(chosen([0, 1], inherited)).toEqual({
      refused: `the plan uses GPU 0, 1 of this node (counted from 0), and CUDA_VISIBLE_DEVICES=${inherited} in the node's environment shows ${shown}: ask for as many GPUs as cluster.gpusPerNode says, or make that what a node has`,
    });
  });
});

test("the GPUs that a program is given are remembered for whoever asks the node", () => {
  const assigned = (env: string, inherited: string) =>
    python(`import launch
spec = {"env": {"A": "1", "CUDA_VISIBLE_DEVICES": ${env}}, "gpus": [0, 1]}
env = {"CUDA_VISIBLE_DEVICES": ${inherited}}
print(json.dumps(launch.assigned_gpus(spec, env)))`);
  expect(assigned('"{{GPUS}}"', '"4,5"')).toEqual(["4", "5"]);
  // An engine without GPUs inherits what it does not use.
  expect(assigned('"x"', '"4,5"')).toEqual([]);
});

describe("a node behind a site's proxy", () => {
  const exempted = (env: Readonly<Record<string, string>>) =>
    python(`import node
env = ${JSON.stringify(env)}
node.exempt(env, ["10.0.0.1", "10.0.0.2", "10.0.0.1"])
print(json.dumps([env.get("no_proxy"), env.get("NO_PROXY")]))`);
  const own = "localhost,127.0.0.1,::1,10.0.0.1,10.0.0.2,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16";

  test.each(["http_proxy", "HTTPS_PROXY", "all_proxy"])("reaches the cluster without it: %s", (name) => {
    expect(exempted({ [name]: "http://proxy:3128" })).toEqual([own, own]);
  });

  test("keeps what the site says itself, under either name", () => {
    const said = `.corp,10.9.0.0/16,${own}`;
    const env = { http_proxy: "http://proxy:3128", no_proxy: ".corp", NO_PROXY: "10.9.0.0/16, .corp" };
    expect(exempted(env)).toEqual([said, said]);
  });

  test("gets no variable where there is none", () => {
    expect(exempted({})).toEqual([null, null]);
  });
});

test.runIf(process.platform === "linux")("every address of this machine has its interface", () => {
  const known = Object.entries(networkInterfaces()).flatMap(([name, addresses]) =>
    (addresses ?? []).map(({ address }) => [address, name] as const),
  );
  const answers = python(`import network
print(json.dumps([network.interface_of(address) for address in ${JSON.stringify([...known.map(([address]) => address), "127.0.0.9", "203.0.113.7", "no address"])}]))`);
  expect(answers).toEqual([...known.map(([, name]) => name), "lo", null, null]);
});
