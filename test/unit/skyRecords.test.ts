/** `sky/records.py` with a stand-in for SkyPilot's SDK, which answers as the real one was seen to. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

/** The refresh that finds a node gone answers without the reason; a later question has it. */
const STAND_IN = `
import enum, json, sys, types
sky = types.ModuleType("sky")
sky.ClusterStatus = enum.Enum("ClusterStatus", ["INIT", "UP"])
sky.StatusRefreshMode = enum.Enum("StatusRefreshMode", ["NONE", "FORCE"])
asked = []
class Record:
    handle = None
    def __init__(self, status, reason):
        self.status, self.init_status_reason = status, reason
    def model_dump(self, mode, exclude):
        return {"status": self.status.name, "init_status_reason": self.init_status_reason}
def status(names, refresh, all_users):
    asked.append(refresh.name)
    return refresh
def get(refresh):
    told = refresh is sky.StatusRefreshMode.NONE
    found = getattr(sky.ClusterStatus, sys.argv[1])
    return [Record(found, "nodes terminated" if told and found.name == "INIT" else None)]
sky.status, sky.get = status, get
sys.modules["sky"] = sky
sys.path.insert(0, sys.argv[2])
import records
print(json.dumps([records.clusters(["c"], True)[0]["init_status_reason"], asked]))
`;

it.each([
  ["INIT", ["nodes terminated", ["FORCE", "NONE"]]],
  ["UP", [null, ["FORCE"]]],
])("a cluster that a refresh finds to be %s is told with its reason", (status, wanted) => {
  const room = join(__dirname, "..", "..", "sky");
  const args = ["-B", "-c", STAND_IN, status, room];
  const { stdout, stderr } = spawnSync("python3", args, { encoding: "utf8" });
  expect(stdout === "" ? stderr : JSON.parse(stdout)).toEqual(wanted);
});
