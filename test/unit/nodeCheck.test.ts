/** What a node checks before engines start on its GPUs, with fake tools of NVIDIA, UCX and the kernel. */
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OWN_GPUS } from "../../lib/placeholders";
import { python } from "../runtime";

/** As `nvidia-smi --query-gpu=… --format=csv,noheader,nounits` prints it: see `QUERY` of node_check.py. */
const gpu = (
  index: number,
  change: { driver?: string; used?: number; total?: number; mig?: string; ecc?: string } = {},
) =>
  `${index}, ${change.driver ?? "580.95.05"}, ${change.total ?? 81_559}, ${change.used ?? 4}, ${change.mig ?? "Disabled"}, ${change.ecc ?? "0"}`;
const EIGHT = Array.from({ length: 8 }, (_, index) => gpu(index)).join("\n");
const RDMA = "#      Transport: rc_mlx5\n#         Device: mlx5_0:1";
const TCP = "#      Transport: tcp\n#         Device: eth0";
const LOST = "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.  Reboot the system";

const UNKNOWN = "[Unknown Error], [Unknown Error], Disabled, [Unknown Error]";
const RESET = "81559, [GPU requires reset], Disabled, 0";

describe("a node's check before engines start", () => {
  let directory = "";
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "node-check-"));
    for (const name of ["bin", "sys", "dev"]) mkdirSync(join(directory, name));
    // The only other program on PATH: the fakes are shell scripts.
    symlinkSync("/bin/cat", join(directory, "bin", "cat"));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** Puts a fake tool on PATH, which prints a text and ends with a code. */
  function fake(name: string, text: string, code = 0): void {
    const path = join(directory, "bin", name);
    writeFileSync(path, `#!/bin/sh\ncat <<'TEXT'\n${text}\nTEXT\nexit ${code}\n`);
    chmodSync(path, 0o755);
  }

  const device = (place: "sys" | "dev") => writeFileSync(join(directory, place, "one"), "");

  interface Case {
    readonly gpus?: readonly number[];
    readonly isMocker?: boolean;
    readonly visible?: string;
    readonly rdma?: "required" | "expected";
    readonly nixl?: string;
    readonly driver?: number;
  }

  function check({
    gpus = [0, 1, 2, 3, 4, 5, 6, 7],
    isMocker = false,
    visible,
    rdma,
    nixl,
    driver = 580,
  }: Case) {
    const specs = [{ gpus, env: isMocker ? {} : { CUDA_VISIBLE_DEVICES: OWN_GPUS } }];
    const path = join(directory, "bin");
    const env = { PATH: path, ...(visible === undefined ? {} : { CUDA_VISIBLE_DEVICES: visible }) };
    const script = `import json, os, sys, node_check
specs, env, driver, rdma, nixl, home = json.load(sys.stdin)
os.environ["PATH"] = env["PATH"]
node_check.UCX = home
node_check.DEVICES, node_check.DEVICE_FILES = home + "/sys/*", home + "/dev/*"
print(json.dumps(node_check.check(node_check.gpus_of(specs), env, driver, rdma, nixl)))`;
    const [problems, notes] = JSON.parse(
      python(script, [specs, env, driver, rdma ?? null, nixl ?? null, directory]),
    ) as [string[], string[]];
    return { problems, notes };
  }

  it("finds nothing on a node as it should be", () => {
    fake("nvidia-smi", EIGHT);
    fake("dmesg", "[1.0] NVRM: loading NVIDIA UNIX x86_64 Kernel Module  580.95.05");
    fake("ucx_info", RDMA);
    device("sys");
    device("dev");
    expect(check({ rdma: "required" })).toEqual({ problems: [], notes: [] });
  });

  it("asks nothing where no program uses a GPU", () => {
    fake("nvidia-smi", "must not be asked", 9);
    expect(check({ isMocker: true, rdma: "required" })).toEqual({ problems: [], notes: [] });
  });

  it.each([
    ["too few GPUs", `${gpu(0)}\n${gpu(1)}`, 0, {}, "the plan uses GPU 0, 1, 2, 3, 4, 5, 6, 7 of this node"],
    ["fewer that a job may use", EIGHT, 0, { gpus: [0, 1], visible: "5" }, "and it has 1"],
    ["an old driver", gpu(0, { driver: "535.183.06" }), 0, { gpus: [0] }, "driver is 535.183.06, and this"],
    ["a lost GPU", LOST, 15, {}, `nvidia-smi ends with code 15: ${LOST}`],
    [
      "a GPU that no longer answers",
      `${gpu(0)}\n1, 580.95.05, ${UNKNOWN}`,
      0,
      { gpus: [0, 1] },
      "GPU 1 is broken",
    ],
    ["one to be reset", `0, 580.95.05, ${RESET}`, 0, { gpus: [0] }, "says '[GPU requires reset]' of it"],
    ["no GPU behind a driver", "No devices were found", 0, { gpus: [0] }, "and it has 0"],
    ["a list of GPUs that are not there", gpu(0), 0, { gpus: [0, 1], visible: "0,1" }, "and it has 1"],
    [
      "a list of none that are there",
      "No devices were found",
      0,
      { gpus: [0], visible: "0" },
      "and it has 0",
    ],
    ["no driver", "NVIDIA-SMI has failed because it couldn't communicate", 9, {}, "ends with code 9"],
  ] as const)("refuses %s", (_, text, code, how, said) => {
    fake("nvidia-smi", text, code);
    const { problems } = check(how);
    expect(problems).toEqual([expect.stringContaining(said)]);
  });

  it.each([
    ["its driver for an image of the user's", gpu(0, { driver: "535.183.06" }), { gpus: [0], driver: 0 }],
    ["parts of a GPU, which are no rows", gpu(0, { mig: "Enabled" }), { gpus: [0, 1] }],
    [
      "warnings beside the rows",
      `WARNING: infoROM is corrupted at gpu 0000:3B:00.0\n${gpu(0)}\n`,
      { gpus: [0] },
    ],
    ["a memory that is the machine's", "0, 580.95.05, [N/A], [N/A], [N/A], [N/A]", { gpus: [0] }],
    ["a broken GPU of others", `0, 580.95.05, ${UNKNOWN}\n${gpu(1)}`, { gpus: [0], visible: "1" }],
    ["GPUs that a scheduler names", EIGHT, { gpus: [0, 1], visible: "GPU-1,GPU-2" }],
  ])("takes %s", (_, text, how) => {
    fake("nvidia-smi", text);
    expect(check(how).problems).toEqual([]);
  });

  it("names what may be harmless, and starts", () => {
    fake("nvidia-smi", [gpu(0, { used: 70_000 }), gpu(1, { ecc: "3" }), gpu(2, { ecc: "[N/A]" })].join("\n"));
    const xid = "NVRM: Xid (PCI:0000:3b:00): 79, pid='<unknown>', GPU has fallen off the bus.";
    fake("dmesg", `[5.1] ${xid}\n[6.2] ${xid}\n[7.3] NVRM: Xid (PCI:0000:3b:00): 31, pid=7, name=python`);
    const { problems, notes } = check({ gpus: [0, 1, 2] });
    expect(problems).toEqual([]);
    expect(notes).toEqual([
      "GPU 0: 70000 of its 81559 MiB are in use already",
      "GPU 1 has had 3 uncorrected ECC errors since its last reset",
      `the kernel has logged: ${xid}`,
    ]);
  });

  it("names GPUs that are not alike", () => {
    fake("nvidia-smi", [gpu(0), gpu(1, { total: 40_960 })].join("\n"));
    fake("dmesg", "");
    expect(check({ gpus: [0, 1] }).notes).toEqual([
      "its GPUs have [40960, 81559] MiB of memory: all are used as if they had the least",
    ]);
  });

  it("says nothing of GPUs that other jobs of the machine use", () => {
    fake("nvidia-smi", [gpu(0, { used: 70_000 }), gpu(1), gpu(2, { ecc: "3" })].join("\n"));
    fake("dmesg", "");
    expect(check({ gpus: [0], visible: "1" })).toEqual({ problems: [], notes: [] });
  });

  it("says once what it cannot see, and starts", () => {
    fake("dmesg", "dmesg: read kernel buffer failed: Operation not permitted", 1);
    const { problems, notes } = check({});
    expect(problems).toEqual([]);
    expect(notes).toEqual([
      "there is no nvidia-smi, so driver and GPUs are not checked",
      expect.stringMatching(/kernel's log cannot be read.*Operation not permitted/),
    ]);
  });

  it.each([
    ["no device", [], undefined, "has no device"],
    ["no device file, as in a container", ["sys"], undefined, "is not in this container"],
    ["no transport for it", ["sys", "dev"], TCP, "lists no transport"],
  ] as const)("refuses TCP where RDMA is required: %s", (_, places, ucx, said) => {
    fake("nvidia-smi", EIGHT);
    for (const place of places) device(place);
    if (ucx !== undefined) fake("ucx_info", ucx);
    expect(check({ rdma: "required" }).problems).toEqual([
      expect.stringMatching(new RegExp(`^no RDMA: .*${said}.*sky\\.rdma: optional`)),
    ]);
    const accepted = check({ rdma: "expected" });
    expect(accepted.problems).toEqual([]);
    expect(accepted.notes[0]).toMatch(new RegExp(`^no RDMA: .*${said}.*go over TCP`));
  });

  it("refuses a backend that NIXL cannot use", () => {
    fake("nvidia-smi", EIGHT);
    fake("dmesg", "");
    fake("python3", "Traceback\nnixl_cu13._bindings.nixlNotFoundError: NIXL_ERR_NOT_FOUND", 1);
    expect(check({ nixl: "LIBFABRIC" }).problems).toEqual([
      expect.stringMatching(/^NIXL cannot use its backend LIBFABRIC here.*NOT_FOUND.*kvTransfer\.backend/),
    ]);
    fake("python3", "NIXL INFO Backend UCX was instantiated");
    expect(check({ nixl: "UCX" })).toEqual({ problems: [], notes: [] });
  });

  it("says that NIXL is not checked where it cannot be loaded, and starts", () => {
    fake("nvidia-smi", EIGHT);
    fake("dmesg", "");
    fake("python3", "NIXL cannot be loaded: No module named 'nixl'", 3);
    expect(check({ nixl: "UCX" })).toEqual({
      problems: [],
      notes: ["NIXL is not checked: NIXL cannot be loaded: No module named 'nixl'"],
    });
  });

  it("takes RDMA without ucx_info on the word of its device", () => {
    fake("nvidia-smi", EIGHT);
    device("sys");
    device("dev");
    expect(check({ rdma: "required" }).problems).toEqual([]);
  });

  it("ends the node's start with all problems, one a line", () => {
    fake("nvidia-smi", gpu(0, { driver: "535.183.06" }));
    const script = `import os, node_check
os.environ["PATH"] = ${JSON.stringify(join(directory, "bin"))}
node_check.DEVICES = "/nowhere/*"
try: node_check.ensure([0, 1], {}, 580, "required")
except SystemExit as end: print("ended:", end)`;
    const lines = python(script, null).trim().split("\n");
    expect(lines.filter((line) => line.startsWith("node check, problem: "))).toHaveLength(3);
    expect(lines.at(-1)).toBe("ended: this node cannot run what the plan asks of it: no engine is started");
  });
});
