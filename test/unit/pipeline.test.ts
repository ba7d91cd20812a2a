/** Pages of the pipeline's commands and where they are posted; test/pipelines runs them for real. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { EXIT } from "../../cli/commandLine";
import { deploy } from "../../cli/pipeline/deploy";
import { ephemeralName, writeStackFile } from "../../cli/pipeline/ephemeral";
import { forgeOf } from "../../cli/pipeline/forges";
import { block, code, markerIn, page, plainText, table } from "../../cli/pipeline/markdown";
import { type Place, post } from "../../cli/pipeline/post";
import { preview } from "../../cli/pipeline/preview";
import { assertSharedState } from "../../cli/pipeline/state";
import type { OpenStack, OperationResult } from "../../cli/pulumi/openStack";
import { OperationFailed, UsageProblem } from "../../cli/pulumi/problem";

describe("Markdown", () => {
  test("shows text as it is, whatever is in it", () => {
    expect(plainText("a | <b> *c*\n d")).toBe("a \\| \\<b\\> \\*c\\* d");
    expect(code("a`b|c")).toBe("``a`b\\|c``");
    expect(code("`a`")).toBe("`` `a` ``");
    expect(block("```\nx\n```")).toBe("````text\n```\nx\n```\n````");
    expect(table(["a"], [])).toBe("");
  });

  test("cuts what a forge would refuse, and says so", () => {
    const long = page("<!-- dynamo-sky:preview:dev -->", ["x\n".repeat(100_000)]);
    expect(long.length).toBeLessThan(65_536);
    expect(long).toContain("(cut: the rest is in the pipeline's log)");
    expect(markerIn(long)).toBe("<!-- dynamo-sky:preview:dev -->");
  });
});

describe("a stack that is asleep", () => {
  const since = "2026-11-27T21:00:00.000Z";
  const nothing: OperationResult = {
    ...{ steps: [], changes: {}, failures: [], violations: [], mistake: undefined, outputs: {}, seconds: 1 },
  };
  const on = (outputs: Record<string, unknown>) => {
    const seen: unknown[] = [];
    const note = async (options?: { readonly env?: unknown }) => {
      seen.push(options?.env);
      return nothing;
    };
    const stack = { stack: "prod", outputs: async () => outputs, up: note, preview: note };
    return { seen, run: { stack: stack as unknown as OpenStack, signal: new AbortController().signal } };
  };

  test.each([
    [{ asleep: since }, { DYNAMO_SKY_ASLEEP: since }],
    [{ endpoint: "http://127.0.0.1:8000", workersDown: since }, { DYNAMO_SKY_WORKERS_DOWN: since }],
  ])("is updated and left so, and the page says it: %j", async (outputs, env) => {
    const { seen, run } = on(outputs);
    const deployed = await deploy(run, { policyPacks: [], wake: false });
    expect(deployed).toMatchObject({ exitCode: EXIT.ok, json: { ok: true, asleep: since } });
    expect(deployed.markdown).toContain(`prod is updated, and asleep since ${since}`);
    const seenBefore = await preview(run, []);
    expect(seenBefore.markdown).toContain(`It is asleep since ${since}: \`deploy\` updates it and leaves it`);
    expect(seen).toEqual([env, env]);
  });

  test("is brought up by --wake, and then asked", async () => {
    const { seen, run } = on({ asleep: since });
    const { json } = await deploy(run, { policyPacks: [], wake: true });
    // Nothing runs here that could be asked.
    expect(json).toMatchObject({ ok: false, failure: expect.stringContaining("asleep since") });
    expect(seen).toEqual([undefined]);
  });
});

describe("preview", () => {
  const operation: OperationResult = {
    steps: [
      { urn: "u", name: "dynamo-decode-2", type: "t", op: "create", changes: [] },
      { urn: "u", name: "dynamo-main-lease", type: "t", op: "update", changes: ["stdin", "a: 1 → 2"] },
    ],
    changes: { create: 1, update: 2, same: 9 },
    failures: [],
    violations: [],
    mistake: undefined,
    outputs: { cost: { gpus: 16, dollarsPerHour: 55.04, mostDollarsPerHour: 98.32 } },
    seconds: 1,
  };
  const before = { cost: { gpus: 8, dollarsPerHour: 27.52, mostDollarsPerHour: 27.52 } };
  const of = (result: () => Promise<OperationResult>, outputs: () => Promise<Record<string, unknown>>) => {
    const stack: Pick<OpenStack, "stack" | "outputs" | "preview"> = {
      stack: "prod",
      outputs,
      preview: result,
    };
    return preview({ stack, signal: new AbortController().signal }, []);
  };

  test("tells changes, GPUs and dollars, before and after", async () => {
    const { markdown, exitCode } = await of(
      async () => operation,
      async () => before,
    );
    expect(exitCode).toBe(0);
    expect(markdown).toMatchInlineSnapshot(`
      "<!-- dynamo-sky:preview:prod -->

      ### prod: 1 to create, 1 to update

      |  | before | after |
      | --- | --- | --- |
      | GPUs | 8 | 16 |
      | $ per hour | $27.52 | $55.04 |
      | at most, where that has no capacity |  | $98.32 |

      |  | resource |
      | --- | --- |
      | ➕ create | \`dynamo-decode-2\` |
      | ✏️ update | \`dynamo-main-lease\` |

      <details><summary>What changes</summary>

      - \`dynamo-main-lease\`
        - \`stdin\`
        - \`a: 1 → 2\`

      </details>
      "
    `);
  });

  test("of a new stack and of unknown prices says so", async () => {
    const outputs = { cost: { gpus: 16, dollarsPerHour: null, mostDollarsPerHour: null } };
    const { markdown } = await of(
      async () => ({ ...operation, outputs }),
      () => Promise.reject(new OperationFailed("no stack named 'prod' found")),
    );
    expect(markdown).toContain("| GPUs | none | 16 |\n| $ per hour | none | unknown |");
  });

  test("refused by a policy has an exit code of its own, and the policy's words", async () => {
    const violation = { policy: "gpu-ceiling", level: "mandatory", resource: "dynamo", message: "too many" };
    const { markdown, exitCode } = await of(
      () => Promise.reject(new OperationFailed("preview failed", { ...operation, violations: [violation] })),
      async () => before,
    );
    expect(exitCode).toBe(EXIT.notAsWanted);
    expect(markdown).toContain("### prod: refused by a policy\n\n- ❌ `gpu-ceiling`: too many");
  });

  test("that fails says why, and promises no change", async () => {
    const { markdown, exitCode } = await of(
      () => Promise.reject(new OperationFailed("no credentials")),
      async () => before,
    );
    expect(exitCode).toBe(1);
    expect(markdown).toContain("### prod: the preview failed\n\n```text\nno credentials\n```\n");
    expect(markdown).not.toContain("GPUs");
  });
});

describe("state", () => {
  const bucket = { url: "s3://b", isOwn: false, env: {} };

  test("that is gone with the machine, or readable, is refused in a pipeline alone", () => {
    const own = { ...bucket, isOwn: true };
    expect(() => assertSharedState(own, {})).not.toThrow();
    expect(() => assertSharedState(own, { CI: "true" })).toThrow("PULUMI_BACKEND_URL");
    expect(() => assertSharedState(bucket, { CI: "true", PULUMI_CONFIG_PASSPHRASE: "" })).toThrow("is empty");
    expect(() => assertSharedState(bucket, { CI: "true", PULUMI_CONFIG_PASSPHRASE: "x" })).not.toThrow();
    const cloud = { ...bucket, url: undefined };
    expect(() => assertSharedState(cloud, { CI: "true", PULUMI_CONFIG_PASSPHRASE: "" })).not.toThrow();
  });
});

describe("a pull request's stack", () => {
  let directory: string;
  const write = (base: string, overrides: readonly string[] = []) => {
    writeFileSync(join(directory, "Pulumi.prod.yaml"), base);
    writeStackFile("pr-7", { directory, base: "prod", overrides });
    return parse(readFileSync(join(directory, "Pulumi.pr-7.yaml"), "utf8"));
  };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "ephemeral-"));
    writeFileSync(join(directory, "Pulumi.yaml"), "name: p\nruntime: nodejs\n");
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  test("is named by a number, and by nothing else", () => {
    expect(ephemeralName("12")).toBe("pr-12");
    for (const wrong of ["", "0", "-1", "1; rm", "main", "1.5"])
      expect(() => ephemeralName(wrong), wrong).toThrow(UsageProblem);
  });

  test("is its base with other settings, deep in it or new", () => {
    const base = "encryptionsalt: v1:x\nconfig:\n  dynamo-sky:cluster: { nodes: 2, gpusPerNode: 8 }\n";
    const pools = '[{"role":"decode","replicas":1}]';
    expect(write(base, ["cluster.nodes=1", "sky.labels.owner=pr", `pools=${pools}`])).toEqual({
      encryptionsalt: "v1:x",
      config: {
        "dynamo-sky:cluster": { nodes: 1, gpusPerNode: 8 },
        "dynamo-sky:sky": { labels: { owner: "pr" } },
        "dynamo-sky:pools": JSON.parse(pools),
      },
    });
    expect(write("{}\n", ["model=m"])).toEqual({ config: { "dynamo-sky:model": "m" } });
  });

  test("may be made from a stack of examples/stacks", () => {
    mkdirSync(join(directory, "examples/stacks"), { recursive: true });
    writeFileSync(join(directory, "examples/stacks/Pulumi.tp2.yaml"), "config:\n  dynamo-sky:model: m\n");
    writeStackFile("pr-7", { directory, base: "tp2", overrides: [] });
    const written = readFileSync(join(directory, "Pulumi.pr-7.yaml"), "utf8");
    expect(parse(written)).toEqual({ config: { "dynamo-sky:model": "m" } });
  });

  test("refuses what it cannot be made from", () => {
    expect(() => write("config: {}\n", ["nodes"])).toThrow("is not key=value");
    expect(() => write("config: {}\n", ["a={"])).toThrow("no YAML");
    expect(() => write("config:\n  dynamo-sky:huggingFaceToken:\n    secure: abc\n")).toThrow("secrets");
    expect(() => writeStackFile("pr-7", { directory, base: "none", overrides: [] })).toThrow(
      "Stacks there: ",
    );
  });
});

/** A stand-in for GitHub and GitLab: stores what it receives, in the format of both. */
describe("post, to a stand-in for the forges", () => {
  const marker = "<!-- dynamo-sky:preview:prod -->";
  const calls: {
    readonly method: string;
    readonly path: string;
    readonly body: unknown;
    readonly token: string;
  }[] = [];
  let answers: Readonly<Record<string, unknown>> = {};
  let server: Server;
  let url: string;

  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const { method = "", url: path = "", headers } = request;
      const token = String(headers["private-token"] ?? headers.authorization);
      const body = method === "GET" ? undefined : await json(request);
      if (method !== "GET") calls.push({ method, path, body, token });
      const key = Object.keys(answers).find((start) => path.startsWith(start));
      const isLater = /[?&]page=[2-9]/.test(path);
      const found = method === "GET" ? (isLater || key === undefined ? [] : answers[key]) : {};
      response.writeHead(token.includes("wrong") ? 403 : 200).end(JSON.stringify(found));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));
  beforeEach(() => {
    calls.length = 0;
    answers = {};
  });

  const gitHub = () => ({
    GITHUB_TOKEN: "t",
    GITHUB_REPOSITORY: "o/r",
    GITHUB_API_URL: url,
    GITHUB_REF: "refs/pull/5/merge",
  });
  const gitLab = () => ({
    GITLAB_CI: "true",
    GITLAB_TOKEN: "t",
    CI_API_V4_URL: url,
    CI_PROJECT_ID: "9",
    CI_MERGE_REQUEST_IID: "5",
  });
  const send = (env: Readonly<Record<string, string>>, place: Place, close = false) => {
    const forge = forgeOf(env, place, undefined, new AbortController().signal);
    return post(forge, { place, text: `${marker}\n\nnew`, title: "prod is not in sync", close });
  };

  test("comments once, then changes that comment, wherever it stands", async () => {
    expect((await send(gitHub(), "pull-request")).json["action"]).toBe("created");
    answers = {
      "/repos/o/r/issues/5/comments": [
        { id: 1, body: "hello" },
        { id: 2, body: `${marker}\r\nold` },
      ],
    };
    expect((await send(gitHub(), "pull-request")).json["action"]).toBe("updated");
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /repos/o/r/issues/5/comments",
      "PATCH /repos/o/r/issues/comments/2",
    ]);
    expect(calls.every(({ token }) => token === "Bearer t")).toBe(true);
    expect(calls[1]?.body).toEqual({ body: `${marker}\n\nnew` });
  });

  test("does the same on GitLab", async () => {
    expect((await send(gitLab(), "pull-request")).json["action"]).toBe("created");
    answers = { "/projects/9/merge_requests/5/notes": [{ id: 2, body: `${marker}\nold` }] };
    expect((await send(gitLab(), "pull-request")).json["action"]).toBe("updated");
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /projects/9/merge_requests/5/notes",
      "PUT /projects/9/merge_requests/5/notes/2",
    ]);
  });

  test("opens an issue, changes it, closes it, and makes none only to close it", async () => {
    expect((await send(gitHub(), "issue", true)).json["action"]).toBe("nothing to do");
    expect((await send(gitHub(), "issue")).json["action"]).toBe("created");
    answers = { "/repos/o/r/issues?": [{ number: 3, body: `${marker}\nold` }] };
    expect((await send(gitHub(), "issue")).json["action"]).toBe("updated");
    expect((await send(gitHub(), "issue", true)).json["action"]).toBe("closed");
    expect(calls.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /repos/o/r/issues",
      "PATCH /repos/o/r/issues/3",
      "PATCH /repos/o/r/issues/3",
    ]);
    expect(calls[2]?.body).toMatchObject({ state: "closed" });
    answers = { "/projects/9/issues?": [{ iid: 4, description: `${marker}\nold` }] };
    expect((await send(gitLab(), "issue", true)).json["action"]).toBe("closed");
    expect(calls[3]).toMatchObject({ path: "/projects/9/issues/4", body: { state_event: "close" } });
  });

  test("says what is missing, and never the token", async () => {
    expect(() => send({ GITHUB_REPOSITORY: "o/r" }, "issue")).toThrow("GITHUB_TOKEN is not set");
    expect(() => send({ GITLAB_CI: "true" }, "issue")).toThrow("GITLAB_TOKEN is not set");
    expect(() => send({ ...gitHub(), GITHUB_REF: "refs/heads/main" }, "pull-request")).toThrow("--number");
    const refused = await send({ ...gitHub(), GITHUB_TOKEN: "wrong-one" }, "issue").catch(String);
    expect(refused).toContain("with 403");
    expect(refused).not.toContain("wrong-one");
  });

  test("refuses a page without a marker", async () => {
    const forge = forgeOf(gitHub(), "issue", undefined, new AbortController().signal);
    const text = "# hello";
    await expect(post(forge, { place: "issue", text, title: "t", close: false })).rejects.toThrow("marker");
  });
});
