/** What the kernel has killed for want of memory (`runtime/memory.py`). */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { causeOnNodes } from "../../sky/failure";
import { python } from "../runtime";

/** What /proc/self/cgroup says, and where the group's files are below the mount. */
const PLACES = {
  "version 2, a service": {
    listing: "0::/system.slice/a.service\n",
    at: "system.slice/a.service",
    version: 2,
  },
  "version 2, a container": { listing: "0::/\n", at: "", version: 2 },
  "version 1": { listing: "9:name=systemd:/\n4:cpu,memory:/job_7\n0::/\n", at: "memory/job_7", version: 1 },
  "version 1, a container": { listing: "4:memory:/kubepods/pod7/c\n0::/\n", at: "memory", version: 1 },
} as const;
const FILES = {
  1: { count: "memory.oom_control", limit: "memory.limit_in_bytes", none: "9223372036854771712" },
  2: { count: "memory.events", limit: "memory.max", none: "max" },
} as const;
const LIMIT = "the kernel killed 2 processes here for want of memory (oom_kill; the limit is 6.0 GiB)";

describe("what the kernel kills for want of memory", () => {
  let root = "";
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), "cgroup-"));
  });
  afterEach(() => rmSync(root, { recursive: true }));

  function give(path: string, text: string): void {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }

  /** The words after the count has changed. */
  function told(listing: string, file: string, change = ""): unknown {
    return JSON.parse(
      python(
        `
import json, memory
memory.ROOT = ${JSON.stringify(root)}
memory.Kills.group = lambda self: memory.group_of(${JSON.stringify(listing)})
kills = memory.Kills()
if ${JSON.stringify(change)}: open(${JSON.stringify(join(root, file))}, "w").write(${JSON.stringify(change)})
print(json.dumps(kills.words()))`,
        null,
      ),
    );
  }

  it.each(Object.entries(PLACES))("is told with its limit, %s", (_, { listing, at, version }) => {
    const { count, limit } = FILES[version];
    give(join(at, count), "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    give(join(at, limit), `${6 * 2 ** 30}\n`);
    expect(told(listing, join(at, count), "low 0\noom 9\noom_kill 5\noom_group_kill 0\n")).toBe(LIMIT);
  });

  it.each([1, 2] as const)("is told where there is no limit but the machine's, version %d", (version) => {
    const { count, limit, none } = FILES[version];
    const { listing, at } = PLACES[version === 1 ? "version 1" : "version 2, a service"];
    give(join(at, count), "oom_kill 0\n");
    give(join(at, limit), none);
    expect(told(listing, join(at, count), "oom_kill 1\n")).toBe(
      "the kernel killed 1 process here for want of memory (oom_kill)",
    );
  });

  it("is nothing where nothing was killed since, or nobody counts", () => {
    const { listing, at } = PLACES["version 1"];
    give(join(at, FILES[1].count), "oom_kill 3\n");
    expect(told(listing, "")).toBeNull();
    expect(told("", "")).toBeNull();
    expect(told("0::/nowhere\n", "")).toBeNull();
  });

  it("is a cause that status and errors tell with what to do", () => {
    expect(causeOnNodes([LIMIT])?.kind).toBe("memory");
  });
});
