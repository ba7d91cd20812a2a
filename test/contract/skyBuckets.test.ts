/**
 * Copies a bucket as SkyPilot does on a node, with the real client of the cloud, from a server that fails:
 * what that client gets over by itself, and what the launch has to try again.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { classify } from "../../sky/failure";
import { pauseBefore } from "../../sky/passing";
import { closeAtOnce, openOnLoopback } from "../loopback";
import { cloudsInterpreter, skyScript } from "./skyAnswer";

const FILES: Readonly<Record<string, string>> = {
  "qwen/config.json": "{}",
  "qwen/weights-1.bin": "1".repeat(50_000),
  "qwen/weights-2.bin": "2".repeat(50_000),
};
type Trouble = "busy" | "cut" | "denied";

/** Stand-in for S3, with one bucket. */
class Bucket {
  /** Keys of the files that were asked for. */
  asked: string[] = [];
  /** What happens to the next requests for files. */
  troubles: Trouble[] = [];
  /** What happens to all requests for one of them. */
  always: Trouble | undefined;
  private readonly server = createServer((request, response) => this.answer(request, response));

  open(): Promise<string> {
    return openOnLoopback(this.server);
  }

  close(): void {
    closeAtOnce(this.server);
  }

  private answer({ url = "" }: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(url, "http://bucket");
    response.setHeader("Content-Type", "application/xml");
    if (searchParams.has("list-type")) {
      const contents = Object.entries(FILES).map(
        ([key, text]) =>
          `<Contents><Key>${key}</Key><Size>${text.length}</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
      );
      response.end(
        `<ListBucketResult><IsTruncated>false</IsTruncated>${contents.join("")}</ListBucketResult>`,
      );
      return;
    }
    const key = decodeURIComponent(pathname.replace("/weights/", ""));
    this.asked.push(key);
    const text = FILES[key] ?? "";
    const trouble = this.troubles.shift() ?? (key.endsWith("/weights-1.bin") ? this.always : undefined);
    const error = (status: number, code: string) =>
      response.writeHead(status).end(`<Error><Code>${code}</Code><Message>no</Message></Error>`);
    if (trouble === "busy") return void error(503, "SlowDown");
    if (trouble === "denied") return void error(403, "AccessDenied");
    response.writeHead(200, { "Content-Length": text.length, ETag: '"0"' });
    if (trouble === "cut") response.write(text.slice(0, 10), () => response.destroy());
    else response.end(text);
  }
}

let interpreter = "";
beforeAll(async () => {
  interpreter = await cloudsInterpreter();
}, 900_000);

describe("a bucket that is copied to a node", () => {
  const bucket = new Bucket();
  const node = mkdtempSync(join(tmpdir(), "dsky-bucket-"));
  const target = join(node, "model");
  let command = "";
  let endpoint = "";
  beforeAll(() => {
    command = execFileSync(interpreter, [skyScript("skyBuckets.py"), "s3://weights/qwen", target], {
      encoding: "utf8",
    });
  });
  beforeEach(async () => {
    endpoint = await bucket.open();
    Object.assign(bucket, { asked: [], troubles: [], always: undefined });
  });
  afterEach(() => {
    bucket.close();
    rmSync(target, { recursive: true, force: true });
  });
  afterAll(() => rmSync(node, { recursive: true, force: true }));

  /** What the launch does about it: SkyPilot adds its own words to the command's output. */
  const copy = () =>
    new Promise<{ readonly isCopied: boolean; readonly pause: number | undefined }>((resolve) => {
      const env = {
        PATH: [dirname(interpreter), process.env["PATH"]].join(delimiter),
        HOME: node,
        AWS_ENDPOINT_URL: endpoint,
        AWS_ACCESS_KEY_ID: "a",
        AWS_SECRET_ACCESS_KEY: "b",
        AWS_DEFAULT_REGION: "us-east-1",
        AWS_EC2_METADATA_DISABLED: "true",
        AWS_MAX_ATTEMPTS: "3",
      };
      execFile("bash", ["-c", command], { env }, (error, stdout, stderr) => {
        const said = `Failed to run command before rsync s3://weights/qwen -> ${target}.\n${stdout}${stderr}`;
        const lines = said.split(/[\r\n]+/).filter(Boolean);
        const failed = { stage: "syncing", failure: classify(lines), lines } as const;
        resolve({ isCopied: error === null, pause: error === null ? undefined : pauseBefore(failed, 0, 0) });
      });
    });

  it("comes although it is busy and cuts a connection", async () => {
    bucket.troubles = ["busy", "cut", "busy"];
    expect((await copy()).isCopied).toBe(true);
    expect(readFileSync(join(target, "weights-2.bin"), "utf8")).toBe(FILES["qwen/weights-2.bin"]);
  });

  it.each(["busy", "cut"] as const)(
    "is asked again after a pause where it stays %s, for what is missing",
    async (trouble) => {
      bucket.always = trouble;
      expect(await copy()).toEqual({ isCopied: false, pause: 15 });
      Object.assign(bucket, { asked: [], always: undefined });
      expect((await copy()).isCopied).toBe(true);
      expect(new Set(bucket.asked)).toEqual(new Set(["qwen/weights-1.bin"]));
      expect(readdirSync(target).toSorted()).toEqual(["config.json", "weights-1.bin", "weights-2.bin"]);
    },
  );

  it("is not asked again where it refuses", async () => {
    bucket.always = "denied";
    expect(await copy()).toEqual({ isCopied: false, pause: undefined });
  });
});
