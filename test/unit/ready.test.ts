/** What `ready` says of a deployment that does not get ready, from its workers' logs. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FAILURES } from "../../sky/failureKinds";

const directory = mkdtempSync(join(tmpdir(), "dsky-ready-"));
/** Models that the frontend lists; it serves none. */
let listed: string[] = [];
const server = createServer((request, response) => {
  if (request.url !== "/v1/models") return response.writeHead(404).end();
  response.writeHead(200, { "content-type": "application/json" });
  return response.end(JSON.stringify({ object: "list", data: listed.map((id) => ({ id })) }));
});
beforeAll(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true, force: true });
});

/** What it prints, with a worker that has written this. */
async function said(lines: readonly string[], timeoutSeconds = 1, decode = 1): Promise<string> {
  const log = join(directory, "decode-0.log");
  writeFileSync(log, `${lines.join("\n")}\n`);
  const child = spawn(join(__dirname, "..", "..", "bin", "dynamo-sky"), ["ready"], {
    env: { ...process.env, DYNAMO_SKY_STATE: directory },
    stdio: "pipe",
  });
  child.stdin.end(
    JSON.stringify({
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      model: "a/model",
      namespace: "dynamo",
      expectedWorkers: { aggregated: 0, prefill: 0, decode, encode: 0 },
      logs: { "frontend-0": [join(directory, "none.log")], "decode-0": [log] },
      timeoutSeconds,
    }),
  );
  const [stderr] = await Promise.all([text(child.stderr), text(child.stdout)]);
  return stderr;
}

const FILLING = Array.from({ length: 60 }, (_, index) => `Loading checkpoint shards: ${index} %`);

test.each([
  ["model", "huggingface_hub.errors.GatedRepoError: 403 Client Error. Cannot access gated repo for url x"],
  ["disk", "OSError: [Errno 28] No space left on device: '/root/.cache'"],
  ["memory", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."],
  ["file", "FileNotFoundError: [Errno 2] No such file or directory: '/models/chat.jinja'"],
] as const)("names what only a worker's log tells first, and how to mend it: %s", async (kind, line) => {
  const { title, advice } = FAILURES[kind];
  const output = (await said([...FILLING, line, ...FILLING])).split("\n");
  const first = output.findIndex((one) => one.includes(`${title}: decode-0 says: `));
  expect(output[first], output.join("\n")).toContain(line.replace(/^\S*Error: /, ""));
  expect(output[first + 1]).toContain(`Next: ${advice}`);
  expect(output[first + 2]).toContain("was not ready within 1 s: waited for frontend: HTTP 404");
});

test("says what it waited for where no log names a cause that is known", async () => {
  const output = await said(FILLING);
  expect(output).toContain("was not ready within 1 s: waited for frontend: HTTP 404");
  expect(output).not.toContain("Next:");
});

test("ends the wait early for what no waiting mends, once the program has started often enough", async () => {
  const now = new Date().toISOString().replace(/\.\d+/, "");
  const start = [
    `started at ${now}`,
    ...FILLING,
    "GatedRepoError: 403 Client Error. Cannot access gated repo",
  ];
  const output = await said([...start, ...start, `started at ${now}`], 600);
  expect(output).toContain(`${FAILURES.model.title}: decode-0 says: 403 Client Error.`);
  expect(output).toContain(`Next: ${FAILURES.model.advice}`);
  expect(output).toContain("Waiting longer would not help a/model at http://127.0.0.1");
}, 60_000);

test("is ready without workers once no frontend lists their model", async () => {
  listed = ["another/model"];
  expect(await said([], 5, 0)).toContain("what answers for its workers does so at http://127.0.0.1");
  listed = ["a/model"];
  expect(await said([], 1, 0)).toContain("waited for frontend: it still lists a/model");
});
