/**
 * What the hub says of a model before anything is launched. The hub is a stand-in that answers as
 * huggingface.co does.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseConfig } from "../../plan/config";
import { type HubAnswer, hubCautions, hubProblems, hubQuestion } from "../../plan/hub";
import { closeAtOnce, openOnLoopback } from "../loopback";
import { SkyCatalog } from "./skyCatalog";

const TOKEN = "hf_secretsecretsecret";
const WEIGHTS = [
  { rfilename: "model-1.safetensors", size: 400e9 },
  { rfilename: "model-2.safetensors", size: 288e9 },
  { rfilename: "original/model.safetensors", size: 688e9 },
  { rfilename: "config.json", size: 1 },
];

/** Headers as of https://huggingface.co, which `hf_raise_for_status` reads. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { url = "", headers } = request;
  const [, owner, name] = /^(?:\/api\/models)?\/([^/]+)\/([^/]+)\//.exec(url) ?? [];
  const refuse = (status: number, code?: string, message?: string) =>
    response
      .writeHead(status, {
        ...(code === undefined ? {} : { "X-Error-Code": code }),
        ...(message === undefined ? {} : { "X-Error-Message": message }),
      })
      .end();
  const { authorization } = headers;
  if (authorization === "Bearer wrong")
    return void refuse(401, undefined, "Invalid credentials in Authorization header");
  if (owner === "broken") return void refuse(503);
  if (owner === "slow") return;
  if (owner === "nobody")
    return void (authorization ? refuse(404, "RepoNotFound") : refuse(401, "RepoNotFound"));
  if (owner === "gated" && authorization !== `Bearer ${TOKEN}`)
    return void refuse(authorization ? 403 : 401, "GatedRepo");
  if (url.includes("/resolve/") && !/\/resolve\/(main|refs%2Fpr%2F1)\//.test(url))
    return void refuse(404, "RevisionNotFound");
  if (name === "no-config" && url.includes("/resolve/")) return void refuse(404, "EntryNotFound");
  if (name === "renamed" && url.includes("/resolve/"))
    return void response.writeHead(307, { location: "/org/model/resolve/main/config.json" }).end();
  response.setHeader("content-type", "application/json");
  response.end(url.startsWith("/api/") ? JSON.stringify({ siblings: WEIGHTS }) : "{}");
}

const requests: string[] = [];
const hub = createServer((request, response) => {
  requests.push(`${request.method} ${request.url}`);
  answer(request, response);
});
let catalog: SkyCatalog;
let endpoint = "";

beforeAll(async () => {
  endpoint = await openOnLoopback(hub);
  catalog = await SkyCatalog.open({ no_proxy: "127.0.0.1" });
}, 600_000);
afterAll(() => {
  catalog.close();
  closeAtOnce(hub);
});
beforeEach(() => void requests.splice(0));

interface Written {
  readonly model: string;
  readonly modelRevision?: string;
  readonly token?: string;
  readonly engineArgs?: readonly string[];
  readonly sky?: object;
}

/** What is refused and what is told of a deployment. */
async function told({ token, sky, ...written }: Written, at = endpoint) {
  const config = parseConfig({
    ...written,
    pools: [{ role: "aggregated", tensorParallel: 8 }],
    sky: { infra: "aws", diskSizeGB: 2000, ...sky, envs: { HF_ENDPOINT: at } },
    ...(token === undefined ? {} : { huggingFaceToken: token }),
  });
  const question = hubQuestion(config);
  if (question === undefined) throw new Error("nothing is asked");
  const answers = await catalog.models({ ...question, ...(token === undefined ? {} : { token }) });
  const all = {
    refused: hubProblems(config, question, answers).map(
      ({ path, message }) => `${path.join(".")}: ${message}`,
    ),
    cautions: hubCautions(config, question, answers),
  };
  expect(JSON.stringify([all, answers])).not.toContain(TOKEN);
  return all;
}

const NOTHING = { refused: [], cautions: [] };
const SET_TOKEN = "pulumi config set --secret dynamo-sky:huggingFaceToken";

describe("a model of the hub", () => {
  it.each<[string, Written]>([
    ["there", { model: "org/model" }],
    ["there under another name now", { model: "org/renamed" }],
    ["there without a config.json", { model: "org/no-config" }],
    ["gated, with a token that may read it", { model: "gated/model", token: TOKEN }],
    ["in a revision with a slash", { model: "org/model", modelRevision: "refs/pr/1" }],
  ])("is fine: %s", async (_title, written) => {
    expect(await told(written)).toEqual(NOTHING);
  });

  it("is asked by the revision, once, and nothing of it is fetched", async () => {
    await told({ model: "org/model", modelRevision: "refs/pr/1" });
    expect(requests.toSorted()).toEqual([
      "GET /api/models/org/model/revision/refs%2Fpr%2F1?blobs=true",
      "HEAD /org/model/resolve/refs%2Fpr%2F1/config.json",
    ]);
  });

  it.each<[string, Written, string]>([
    [
      "not there",
      { model: "nobody/model" },
      `model: "nobody/model" is not at HUB, or is private. Correct it, or give a token that may read it: ${SET_TOKEN}`,
    ],
    [
      "not there, with a token",
      { model: "nobody/model", token: TOKEN },
      `model: "nobody/model" is not at HUB, or the token may not see it. Correct it, or give the token of an account that may read it: ${SET_TOKEN}`,
    ],
    [
      "gated, without a token",
      { model: "gated/model" },
      `model: "gated/model" is gated, and there is no token. Accept its licence at HUB/gated/model, then run: ${SET_TOKEN}`,
    ],
    [
      "gated, with a token that may not",
      { model: "gated/model", token: "hf_other" },
      `model: "gated/model" may not be read with the token. Ask for access at HUB/gated/model, let the token read gated repositories, or give another one: ${SET_TOKEN}`,
    ],
    [
      "there, with a token that the hub does not know",
      { model: "org/model", token: "wrong" },
      `huggingFaceToken: HUB does not accept it (its value is not shown). Make one at HUB/settings/tokens and run: ${SET_TOKEN}`,
    ],
    [
      "there, in another revision",
      { model: "org/model", modelRevision: "v9" },
      'modelRevision: "v9" is no revision of org/model at HUB. Allowed: a branch, a tag or a commit of HUB/org/model/commits/main.',
    ],
    [
      "there, and its draft is not",
      { model: "org/model", engineArgs: ["--speculative-draft-model-path", "nobody/draft"] },
      `engineArgs: "nobody/draft" is not at HUB, or is private. Correct it, or give a token that may read it: ${SET_TOKEN}`,
    ],
  ])("is refused: %s", async (_title, written, message) => {
    expect((await told(written)).refused).toEqual([message.replaceAll("HUB", endpoint)]);
  });

  it("is told as not checked where the hub fails, does not answer, or cannot be reached", async () => {
    const note = (why: string, at = endpoint) => ({
      refused: [],
      cautions: [`Whether the nodes can fetch MODEL was not checked: ${at} gave no answer here (${why}).`],
    });
    const named = async (model: string, at?: string) => {
      const text = JSON.stringify(await told({ model, token: TOKEN }, at)).replaceAll(model, "MODEL");
      return JSON.parse(text) as unknown;
    };
    expect(await named("broken/model")).toEqual(note("it answered 503"));
    expect(await named("slow/model")).toEqual(note("ReadTimeout"));
    const closed = "http://127.0.0.1:9";
    expect(await named("org/model", closed)).toEqual(note("ConnectionError", closed));
    // A mirror's password is refused, and not told.
    await expect(named("org/model", "http://me:hunter2@127.0.0.1:9")).rejects.toThrow(
      /^dynamo-sky:sky\.envs\.HF_ENDPOINT: has an address with a password(?!.*hunter2)/,
    );
  }, 60_000);

  it("is refused where its weights do not fit on the disk, and told where little is left", async () => {
    const large = (sky: object) => told({ model: "org/model", sky });
    const message =
      "600 is too little: the weights take 688 GB of each node's disk, and the system and the image about 60 GB. Set it to 748 or more.";
    expect(await large({ diskSizeGB: 600 })).toEqual({
      refused: [`sky.diskSizeGB: ${message}`],
      cautions: [],
    });
    expect((await large({ diskSizeGB: undefined })).refused[0]).toContain(
      "SkyPilot's own 256 GB is too little",
    );
    expect(await large({ diskSizeGB: 700 })).toEqual({
      refused: [],
      cautions: [`dynamo-sky:sky.diskSizeGB: ${message.replace("600", "700")}`],
    });
    expect(await large({ diskSizeGB: 748 })).toEqual(NOTHING);
    // Machines there come with disks of their own size.
    expect((await large({ infra: "lambda", diskSizeGB: 100 })).refused).toEqual([]);
    expect(await large({ infra: "k8s", diskSizeGB: 100 })).toEqual(NOTHING);
    const own = { infra: "runpod", image: "docker:me/own:1", diskSizeGB: 100 };
    expect((await large(own)).refused[0]).toContain("100 is too little");
    expect(await large({ ...own, volumes: { "/models": "models" } })).toEqual(NOTHING);
  });
});

describe("the hub", () => {
  const question = (input: object, own?: string) =>
    hubQuestion(
      parseConfig({ model: "org/model", pools: [{ role: "aggregated", replicas: 8 }], ...input }),
      own,
    );

  it("is the nodes', else this machine's mirror, else huggingface.co", () => {
    expect(question({})?.endpoint).toBe("https://huggingface.co");
    expect(question({}, "https://mirror.example.com")?.endpoint).toBe("https://mirror.example.com");
    const envs = { HF_ENDPOINT: "https://own.example.com" };
    expect(question({ sky: { envs } }, "https://mirror.example.com")?.endpoint).toBe(envs.HF_ENDPOINT);
  });

  it("is not asked where nodes fetch nothing from it", () => {
    expect(question({ target: "local" })).toBeUndefined();
    expect(question({ engine: "mocker" })).toBeUndefined();
    expect(question({ model: "s3://bucket/model", sky: { infra: "aws" } })).toBeUndefined();
    expect(question({ sky: { envs: { HF_HUB_OFFLINE: "1" } } })).toBeUndefined();
  });

  it("refuses nothing while it is silent", () => {
    const config = parseConfig({ model: "org/model", pools: [{ role: "aggregated", replicas: 8 }] });
    const silent: HubAnswer = { model: "org/model", revision: null, found: "unknown", why: "x", bytes: null };
    expect(hubProblems(config, { endpoint }, [silent])).toEqual([]);
  });
});
