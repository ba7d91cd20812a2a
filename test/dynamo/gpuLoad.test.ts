/** The load and the steps of the script that measures on GPUs, against a server of its own. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { packageRoot } from "../../lib/root";
import { toolchainWith } from "./toolchain";

/** Sixteen clients of a server that has no worker. */
const FAILING = `
import asyncio, json, sys, time
import aiohttp.web as web
import load

async def main():
    asked = iter(range(1000000))
    async def answer(request):
        await asyncio.sleep(0.02 * (next(asked) % 5))  # others are under way when one fails
        return web.Response(status=503, text="no worker")
    application = web.Application()
    application.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    target = {"url": "http://127.0.0.1:%d/v1" % port, "model": "m"}
    until = type("Until", (), {"value": time.monotonic() + 2})
    own = {"seed": "s", "words": ["a"], "prefixes": 0, "prompt": 1, "answer": 2}
    records = await load.clients(target, own, range(16), until)
    print(json.dumps([len(records), sum(one["error"] is not None for one in records)]))
    await runner.cleanup()

asyncio.run(main())
`;

const LEFT_OUT = `
import json, sys
sys.argv = ["measure.py"]
import measure
measure.say = lambda *what: None
found = {"steps": {"to others": "left out: no time"}}
step = {"name": "others", "after": "to others", "kind": "steady", "longest": 1}
measure.take(step, None, None, None, None, found, 1e9)
print(json.dumps(found["steps"]["others"]))
`;

const SILENT = `
import json, load

def record(start, **more):
    one = {"start": start, "end": None, "error": None, "pieces": [], "tokens": 0, "prompt": 0, "cached": None}
    return {**one, **more}

records = [record(1), record(1, pieces=[2]), record(12), record(1, error="HTTP 503", end=2)]
found = load.summary(records, 10, 20, 1)
print(json.dumps([found["lost"], found["silent"], found["requests"]]))
`;

async function said(script: string): Promise<unknown> {
  const tools = await toolchainWith();
  const cwd = join(packageRoot(), "dev", "gpu");
  const env = { ...process.env, PYTHONPATH: `${cwd}:${join(packageRoot(), "runtime")}` };
  return JSON.parse(execFileSync(tools.pythonBin, ["-c", script], { cwd, env, encoding: "utf8" }));
}

test("a client whose request failed waits before it tries again, whatever the others do", async () => {
  const [requests, failed] = (await said(FAILING)) as [number, number];
  expect(failed).toBe(requests);
  expect(requests).toBeGreaterThanOrEqual(16);
  // 16 clients for 2 s, one request every 0.25 s at most, and one at the end.
  expect(requests).toBeLessThanOrEqual(16 * 9);
});

test("what a change was for is not measured without the change", async () => {
  expect(await said(LEFT_OUT)).toBe("left out: to others was");
});

test("who waits from before the measured time to its end without a token is told, beside the lost", async () => {
  expect(await said(SILENT)).toEqual([1, 1, 4]);
});
