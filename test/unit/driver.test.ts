import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { verb as ready } from "../../cli/internal/ready";
import { causeIn, lastLines } from "../../lib/logs";
import { lineSchedule, poll } from "../../lib/poll";
import { ask, describeProbe } from "../../lib/probe";
import { Progress, printable } from "../../lib/progress";
import type { ReadySpec } from "../../plan/readySpec";

const quiet = () => new Progress(() => undefined);
const never = new AbortController().signal;

describe("printed lines", () => {
  test("are bounded, also where a character would be cut in two", () => {
    const [line = ""] = printable("ü".repeat(70_000));
    expect(Buffer.byteLength(line)).toBeLessThanOrEqual(1024);
    expect(line).toMatch(/^ü+ …$/);
  });

  test("hold no control characters: progress bars become lines, colours vanish", () => {
    const controlByte = String.fromCodePoint(27);
    expect(printable(`10%\r20%\r\n${controlByte}[31mred${controlByte}[0m\tx${controlByte}[2K`)).toEqual([
      "10%",
      "20%",
      "red x",
    ]);
  });

  test("begin with the elapsed time", () => {
    const lines: string[] = [];
    new Progress((line) => lines.push(line)).line("one\ntwo");
    expect(lines).toEqual([expect.stringMatching(/^\[ +0\.\d s\] one\n$/), expect.stringMatching(/ two\n$/)]);
  });
});

describe("waiting", () => {
  test("ends at once when the condition holds, and says nothing", async () => {
    const lines: string[] = [];
    const progress = new Progress((line) => lines.push(line));
    expect(
      await poll({ timeoutSeconds: 5, progress, signal: never, check: async () => undefined }),
    ).toBeUndefined();
    expect(lines).toEqual([]);
  });

  test("ends with what was missing when the time is over, not much later", async () => {
    const begun = performance.now();
    const result = await poll({
      timeoutSeconds: 0.3,
      progress: quiet(),
      signal: never,
      check: async () => "rain",
    });
    expect(result).toBe("rain");
    expect(performance.now() - begun).toBeLessThan(1500);
  });

  test("says what it waits for, when it has lasted a second", async () => {
    const lines: string[] = [];
    const progress = new Progress((line) => lines.push(line));
    await poll({ timeoutSeconds: 1.5, progress, signal: never, check: async () => "etcd" });
    expect(lines.map((line) => line.replace(/^.*\] /, ""))).toEqual([
      "waiting for etcd (1 of at most 1.5 s)\n",
    ]);
  });

  /** At which of 300 seconds a line is printed. */
  const linesOf = (missingAt: (second: number) => string) => {
    const isDue = lineSchedule();
    return Array.from({ length: 301 }, (_, second) => second).filter((second) =>
      isDue(missingAt(second), second * 1000),
    );
  };

  test.each([
    ["lasts", () => "etcd", [1, 11, 31, 71, 131, 191, 251]],
    ["changes", (at: number) => (at < 20 ? "etcd" : "nats"), [1, 11, 20, 30, 50, 90, 150, 210, 270]],
    ["changes at once", (at: number) => (at < 3 ? "etcd" : "nats"), [1, 6, 16, 36, 76, 136, 196, 256]],
  ] as const)("says ever more rarely what %s", (_, missingAt, seconds) => {
    expect(linesOf(missingAt)).toEqual(seconds);
  });

  test("says what goes to and fro no more often than every five seconds", () => {
    const seconds = linesOf((at) => `it ${at % 2}`);
    expect(seconds.slice(0, 3)).toEqual([1, 6, 11]);
    expect(seconds.every((at, index) => index === 0 || at - (seconds[index - 1] ?? 0) >= 5)).toBe(true);
  });

  test("is ended by the signal, with its reason", async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(new Error("enough")), 100);
    const waiting = poll({
      timeoutSeconds: 60,
      progress: quiet(),
      signal: stop.signal,
      check: async () => "x",
    });
    await expect(waiting).rejects.toThrow(/enough|aborted/);
  });
});

describe("the ends of logs", () => {
  test("are the last whole lines of each file that exists", () => {
    const directory = mkdtempSync(join(tmpdir(), "dsky-"));
    const [long, short] = [join(directory, "long.log"), join(directory, "short.log")];
    writeFileSync(long, Array.from({ length: 5000 }, (_, i) => `line ${i}`).join("\n"));
    writeFileSync(short, "only\n\n");
    expect(lastLines([long, join(directory, "none.log"), short], 2)).toEqual([
      `  ${long}:`,
      "    line 4998",
      "    line 4999",
      `  ${short}:`,
      "    only",
    ]);
    rmSync(directory, { recursive: true });
  });
});

describe("against a server", () => {
  let server: Server | undefined;
  afterEach(() => server?.close());

  async function serve(
    handle: (url: string, headers: NodeJS.Dict<string | string[]>) => [number, unknown],
  ): Promise<string> {
    server = createServer((request, response) => {
      request.resume();
      const [status, body] = handle(request.url ?? "", request.headers);
      response.writeHead(status).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server?.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const readiness = (workers: Record<string, number>, isReady = true) => ({
    ready: isReady,
    namespaces: {
      dynamo: {
        worker_types: Object.fromEntries(
          Object.entries(workers).map(([type, count]) => [type, { workers: count }]),
        ),
      },
      other: { worker_types: { decode: { workers: 9 } } },
    },
  });
  const completion = (tokens: number, content: unknown) => ({
    usage: { completion_tokens: tokens },
    choices: [{ message: { content } }],
  });

  async function whyNotReady(endpoint: string, change: Partial<ReadySpec> = {}): Promise<string | undefined> {
    const expectedWorkers = { aggregated: 0, prefill: 1, decode: 2, encode: 0 };
    const spec = {
      endpoint,
      model: "org/m",
      namespace: "dynamo",
      expectedWorkers,
      timeoutSeconds: 0.2,
      ...change,
    };
    const context = { progress: quiet(), signal: never, result: () => undefined };
    try {
      await ready.run(ready.input.parse(spec), context);
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  test("ready needs the counts of the plan in its own namespace, and tokens in an answer", async () => {
    const seen: string[] = [];
    const endpoint = await serve((url, headers) => {
      seen.push(`${url} ${headers["authorization"]}`);
      return url.endsWith("/ready")
        ? [200, readiness({ prefill: 1, decode: 2 })]
        : [200, completion(8, "hello")];
    });
    expect(await whyNotReady(`${endpoint}/v1/`, { apiKey: "k3y" })).toBeUndefined();
    expect(seen).toEqual(["/v1/models/org/m/ready Bearer k3y", "/v1/chat/completions Bearer k3y"]);
  });

  test.each([
    ["too few", readiness({ prefill: 1, decode: 1 }), "decode: 1 of 2 workers registered."],
    ["none", readiness({}), "prefill: 0 of 1 workers registered."],
    [
      "too many",
      readiness({ prefill: 1, decode: 3 }),
      "decode: 3 of 2 workers registered (lost ones are listed until",
    ],
    [
      "a kind that does not belong",
      readiness({ prefill: 1, decode: 2, aggregated: 1 }),
      "aggregated: 1 of 0 workers",
    ],
    ["ready=false", readiness({ prefill: 1, decode: 2 }, false), "frontend: it says ready=false"],
  ])("not ready with %s", async (_, body, message) => {
    const endpoint = await serve((url) =>
      url.endsWith("/ready") ? [200, body] : [200, completion(8, "hello")],
    );
    expect(await whyNotReady(endpoint)).toContain(`not ready within 0.2 s: waited for ${message}`);
  });

  test("ready has more workers than planned where those go when the update ends, after a while", async () => {
    const endpoint = await serve((url) =>
      url.endsWith("/ready") ? [200, readiness({ prefill: 1, decode: 3 })] : [200, completion(8, "hello")],
    );
    const more = "decode: 3 of 2 workers registered (lost ones";
    expect(await whyNotReady(endpoint, { surplusSeconds: 60 })).toContain(more);
    const soon = { surplusSeconds: 0.01, timeoutSeconds: 10 };
    expect(await whyNotReady(endpoint, soon)).toBeUndefined();
    const fewer = { expectedWorkers: { aggregated: 0, prefill: 2, decode: 2, encode: 0 } };
    const never = await whyNotReady(endpoint, { ...soon, ...fewer, timeoutSeconds: 0.2 });
    expect(never).toContain("prefill: 1 of 2 workers registered");
  });

  test.each<[string, [number, unknown], string]>([
    [
      "an empty answer",
      [200, completion(0, "")],
      "decode: a chat completion came back with 0 tokens and no text",
    ],
    [
      "tokens without content",
      [200, completion(8, null)],
      "decode: a chat completion came back with 8 tokens and no text",
    ],
    [
      "an error",
      [503, { message: "no worker" }],
      'decode: a chat completion failed: HTTP 503 {"message":"no worker"}',
    ],
  ])("not ready with %s", async (_, answer, message) => {
    const endpoint = await serve((url) =>
      url.endsWith("/ready") ? [200, readiness({ prefill: 1, decode: 2 })] : answer,
    );
    expect(await whyNotReady(endpoint)).toContain(`waited for ${message}`);
  });

  test("probes ask by HTTP and by TCP, with the placeholders filled in", async () => {
    const endpoint = await serve((url) => [url === "/good" ? 200 : 503, {}]);
    const port = Number(new URL(endpoint).port);
    const values = { NODE_IP: "127.0.0.1" };
    const http = (path: string) => ({ kind: "http", url: `http://{{NODE_IP}}:${port}${path}` }) as const;
    expect(await ask(http("/good"), values, never)).toBeUndefined();
    expect(await ask(http("/bad"), values, never)).toBe("HTTP 503");
    expect(await ask({ kind: "tcp", host: "{{NODE_IP}}", port }, values, never)).toBeUndefined();
    expect(await ask({ kind: "tcp", host: "127.93.0.1", port }, values, never)).toBe(
      "nothing listens there yet",
    );
    expect(describeProbe(http("/good"), values)).toBe(`${endpoint}/good`);
  });
});

describe("the cause among log lines", () => {
  test.each([
    ["Traceback", ["Traceback (most recent call last):", '  File "a.py"', "ValueError: no such port"], 2],
    ["what follows from it", ["CUDA error: out of memory", "waiting for the frontend", "stopping"], 0],
    ["the last one", ["error: a", "error: b"], 1],
    ["the launcher's words", ["Fatal: x", "    ended soon after its start 1 time; starting again in 1 s"], 0],
  ])("%s", (_title, lines, index) => {
    expect(causeIn(lines)).toBe(lines[index]);
  });

  test("is not guessed where no line names an error", () => {
    expect(causeIn(["loading the model", "ended soon after its start 2 times; Error"])).toBeUndefined();
  });
});
