/**
 * Downloads a model from an overloaded hub with broken connections; the hub is a stand-in, its client the
 * real `huggingface_hub`.
 */
import { execFile, execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { locateTools } from "../../toolchain/index";
import { closeAtOnce, openOnLoopback } from "../loopback";
import { RUNTIME } from "../runtime";

const python = locateTools().python?.bin ?? "";
const COMMIT = "0123456789abcdef0123456789abcdef01234567";
const OLDER = "89abcdef0123456789abcdef0123456789abcdef";
/** More than the client writes at a time. */
const WEIGHTS = randomBytes(24_000_000);

/** Stand-in for the Hugging Face hub, with one model of one file. */
class Hub {
  asked: string[] = [];
  /** All requests, also those about it. */
  requests = 0;
  /** Failures of the next requests for the file. */
  troubles: ("busy" | "cut" | "gone")[] = [];
  /** What the answer with the file waits for. */
  held: Promise<void> = Promise.resolve();
  private readonly server;

  /** @param tls Key and certificate, if it speaks TLS. */
  constructor(readonly tls?: { readonly key: string; readonly cert: string }) {
    const answer = (request: IncomingMessage, response: ServerResponse) => this.answer(request, response);
    this.server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  }

  open(): Promise<string> {
    return openOnLoopback(this.server);
  }

  close(): void {
    closeAtOnce(this.server);
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const { method, url = "", headers } = request;
    this.requests++;
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
    if (!url.endsWith("/weights.bin")) {
      response.writeHead(404).end();
      return;
    }
    response.setHeader("ETag", `"${createHash("sha256").update(WEIGHTS).digest("hex")}"`);
    response.setHeader("X-Repo-Commit", url.includes(OLDER) ? OLDER : COMMIT);
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
    else void this.held.then(() => response.end(rest));
  }
}

describe("a model of a hub", () => {
  const hub = new Hub();
  const home = mkdtempSync(join(tmpdir(), "dsky-hub-"));
  let endpoint = "";
  beforeEach(async () => {
    endpoint = await hub.open();
    hub.asked = [];
    hub.troubles = [];
    hub.held = Promise.resolve();
  });
  afterEach(() => {
    hub.close();
    rmSync(home, { recursive: true, force: true });
  });

  const fetchModel = (model = "a/model") =>
    run(["-B", join(RUNTIME, "fetch_model.py"), join(home, "none.json"), model]);

  /** Runs the interpreter that has Dynamo, with what was said in a time that suits a test. */
  const run = (
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
    onText: (text: string) => void = () => undefined,
  ) =>
    new Promise<{ readonly code: number; readonly output: string }>((resolve) => {
      const env = {
        PATH: process.env["PATH"],
        HF_HOME: home,
        HF_ENDPOINT: endpoint,
        HF_HUB_DISABLE_XET: "1",
        ...more,
      };
      const child = execFile(join(python, "python3"), args, { env, cwd: RUNTIME }, (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
      );
      for (const stream of [child.stdout, child.stderr]) stream?.on("data", onText);
    });

  /** As {@link fetchModel} where locks of files do nothing, with a dead process noticed after so long. */
  const fetchUnlocked = (deadAfterSeconds: number, onText?: (text: string) => void) =>
    run(["-B", "-c", unlocked(deadAfterSeconds)], {}, onText);

  const unlocked = (deadAfterSeconds: number) =>
    `import fcntl, sys
fcntl.flock = fcntl.lockf = lambda *_: None
import fetch_model
fetch_model.ALIVE_EVERY_SECONDS, fetch_model.DEAD_AFTER_SECONDS, fetch_model.LOOK_EVERY_SECONDS = 0.1, ${deadAfterSeconds}, 0.05
sys.argv[1:] = ["none", "a/model"]
fetch_model.main()`;

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

  test("is fetched once by nodes that share the cache, also where its file system has no locks", async () => {
    // The file comes when both others have said that they wait.
    let release: () => void = () => undefined;
    hub.held = new Promise((resolve) => {
      release = resolve;
    });
    let waiting = 0;
    const onText = (text: string) => {
      if (text.includes("another node is fetching a/model")) waiting += 1;
      if (waiting === 2) release();
    };
    const all = await Promise.all([1, 2, 3].map(() => fetchUnlocked(60, onText)));
    for (const { code, output } of all) expect(code, output).toBe(0);
    expect(hub.asked).toEqual(["all"]);
    expect(waiting).toBe(2);
  });

  test("is fetched although whoever had begun was killed", async () => {
    mkdirSync(join(home, "hub", ".dynamo-sky-a--model"), { recursive: true });
    const { code, output } = await fetchUnlocked(1);
    expect(output).toContain("another node is fetching a/model");
    expect(code).toBe(0);
    expect(hub.asked).toEqual(["all"]);
    expect(existsSync(join(home, "hub", ".dynamo-sky-a--model"))).toBe(false);
  });

  test.each([
    ["a/model", COMMIT],
    [`a/model@${OLDER}`, OLDER],
  ])("%s is what Dynamo's own library takes too, without a question to the hub", async (model, commit) => {
    expect((await fetchModel(model)).code).toBe(0);
    const { requests } = hub;
    const script = `import asyncio
from dynamo._core import fetch_model
async def main():
    print(await fetch_model("a/model", False), flush=True)
asyncio.run(main())`;
    const { output } = await run(["-c", script], { HF_HUB_OFFLINE: "1" });
    expect(output).toContain(join("snapshots", commit));
    expect(hub.requests).toBe(requests);
    expect(hub.asked).toEqual(["all"]);
  });

  describe("behind a certificate of a site's own authority", () => {
    const site = mkdtempSync(join(tmpdir(), "dsky-site-"));
    const at = (name: string) => join(site, name);
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: site, stdio: "pipe" });
    let secured: Hub;
    let siteUrl = "";
    beforeAll(async () => {
      const key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"];
      openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=A site");
      const signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=critical,CA:FALSE"];
      const names = ["-subj", "/CN=hub", "-addext", "subjectAltName=IP:127.0.0.1"];
      openssl("req", "-x509", ...key, ...signed, ...names, "-keyout", "hub.key", "-out", "hub.pem");
      secured = new Hub({
        key: readFileSync(at("hub.key"), "utf8"),
        cert: readFileSync(at("hub.pem"), "utf8"),
      });
      siteUrl = await secured.open();
    });
    afterAll(() => {
      secured.close();
      rmSync(site, { recursive: true, force: true });
    });
    const script = ["-B", join(RUNTIME, "fetch_model.py"), join(home, "none.json"), "a/model"];
    const dynamos =
      "import asyncio; from dynamo._core import fetch_model as f\nasync def m(): await f('a/model', False)\nasyncio.run(m())";

    test("it is fetched with the authority in SSL_CERT_FILE, by the set-up and by Dynamo's own library", async () => {
      const env = { HF_ENDPOINT: siteUrl, SSL_CERT_FILE: at("ca.pem") };
      for (const args of [["-c", dynamos], script]) {
        secured.asked = [];
        const { code, output } = await run(args, { ...env, HF_HOME: join(home, String(args.length)) });
        expect(code, output).toBe(0);
        expect(secured.asked).not.toEqual([]);
      }
    });

    test("it is given up at once without, with the reason", async () => {
      const { code, output } = await run(script, { HF_ENDPOINT: siteUrl });
      expect(code).toBe(1);
      expect(output).toMatch(/a\/model could not be fetched \(attempt 1\): .*CERTIFICATE_VERIFY_FAILED/);
    });
  });
});
