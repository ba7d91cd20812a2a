/**
 * Downloads a model from an overloaded hub with broken connections; the hub is a stand-in, its client the
 * real `huggingface_hub`.
 */
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { locateTools } from "../../toolchain/index";
import { RUNTIME } from "../runtime";

const python = locateTools().python?.bin ?? "";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
/** More than the client writes at a time. */
const WEIGHTS = randomBytes(24_000_000);

/** Stand-in for the Hugging Face hub, with one model of one file. */
class Hub {
  readonly asked: string[] = [];
  /** Failures of the next requests for the file. */
  troubles: ("busy" | "cut" | "gone")[] = [];
  private readonly server = createServer((request, response) => this.answer(request, response));

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.server.closeAllConnections();
    this.server.close();
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = "", headers } = request;
    if (url.startsWith("/api/models/")) {
      response.setHeader("Content-Type", "application/json");
      if (url.includes("/tree/")) {
        const file = { type: "file", path: "weights.bin", size: WEIGHTS.length, oid: "0" };
        response.end(JSON.stringify([file]));
        return;
      }
      response.end(JSON.stringify({ id: "a/model", sha: COMMIT, siblings: [{ rfilename: "weights.bin" }] }));
      return;
    }
    response.setHeader("ETag", `"${createHash("sha256").update(WEIGHTS).digest("hex")}"`);
    response.setHeader("X-Repo-Commit", COMMIT);
    response.setHeader("Accept-Ranges", "bytes");
    if (method === "HEAD") {
      response.setHeader("Content-Length", WEIGHTS.length);
      response.end();
      return;
    }
    this.asked.push(headers.range ?? "all");
    const trouble = this.troubles.shift();
    if (trouble === "busy") {
      response.writeHead(429, { "Retry-After": "1" }).end("too many requests");
      return;
    }
    if (trouble === "gone") {
      response.writeHead(403).end("no access");
      return;
    }
    const first = Number(/^bytes=(\d+)-/.exec(headers.range ?? "")?.[1] ?? 0);
    const rest = WEIGHTS.subarray(first);
    const last = WEIGHTS.length - 1;
    response.writeHead(first > 0 ? 206 : 200, {
      "Content-Length": rest.length,
      ...(first > 0 ? { "Content-Range": `bytes ${first}-${last}/${WEIGHTS.length}` } : {}),
    });
    if (trouble === "cut") response.write(rest.subarray(0, rest.length / 2), () => response.destroy());
    else response.end(rest);
  }
}

describe("a model of a hub", () => {
  const hub = new Hub();
  const home = mkdtempSync(join(tmpdir(), "dsky-hub-"));
  let endpoint = "";
  beforeEach(async () => {
    endpoint = await hub.open();
  });
  afterEach(() => {
    hub.close();
    rmSync(home, { recursive: true, force: true });
  });

  const fetchModel = () =>
    new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
      const env = {
        PATH: process.env["PATH"],
        HF_HOME: home,
        HF_ENDPOINT: endpoint,
        HF_HUB_DISABLE_XET: "1",
      };
      const args = ["-B", join(RUNTIME, "fetch_model.py"), join(home, "none.json"), "a/model"];
      execFile(join(python, "python3"), args, { env }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
      );
    });

  test("is fetched although the hub has too many requests and cuts a connection, and goes on where it broke off", async () => {
    hub.troubles = ["busy", "busy", "cut", "cut"];
    const { code, output } = await fetchModel();
    expect(output).not.toContain("Traceback");
    expect(code).toBe(0);
    const fetched = join(home, "hub", "models--a--model", "snapshots", COMMIT, "weights.bin");
    expect(readFileSync(fetched).equals(WEIGHTS)).toBe(true);
    expect(hub.asked.some((range) => /^bytes=[1-9]/.test(range))).toBe(true);
  });

  test("is given up at once where asking again changes nothing, with the reason", async () => {
    hub.troubles = ["gone", "gone"];
    const { code, output } = await fetchModel();
    expect(code).toBe(1);
    expect(output).toMatch(/a\/model could not be fetched \(attempt 1\): .*403/);
    expect(output).not.toContain("Traceback");
  });
});
