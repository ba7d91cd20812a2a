/** The parts of GitHub's and GitLab's REST APIs that `post` needs. Tokens come from the environment only. */
import { z } from "zod";
import type { Environment } from "../../lib/dirs";
import { UsageProblem } from "../pulumi/problem";
import type { Forge, Place, Posted } from "./post";

/** Label of this program's issues. */
const LABEL = "dynamo-sky";
const SECONDS = 30;
const PAGE = 100;
/** 5,000 comments: more indicates a loop. */
const MOST_PAGES = 50;

/** A REST API with its token. */
interface Api {
  readonly name: string;
  /** URL of the repository's resources. */
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** @throws Error with the status and the beginning of the server's response. */
async function call(api: Api, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${api.base}${path}`, {
    method,
    headers: { "Content-Type": "application/json", ...api.headers },
    signal: AbortSignal.any([api.signal, AbortSignal.timeout(SECONDS * 1000)]),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (response.ok) return text === "" ? undefined : JSON.parse(text);
  const hint =
    response.status === 401 || response.status === 403
      ? " The token may not do this: docs/pipelines.md says which permissions it needs."
      : "";
  throw new Error(
    `${api.name} answered ${method} ${path} with ${response.status}: ${text.slice(0, 300)}.${hint}`,
  );
}

async function all<T>(api: Api, path: string, item: z.ZodType<T>): Promise<T[]> {
  const found: T[] = [];
  const mark = path.includes("?") ? "&" : "?";
  for (let page = 1; page <= MOST_PAGES; page++) {
    const items = z.array(item).parse(await call(api, "GET", `${path}${mark}per_page=${PAGE}&page=${page}`));
    found.push(...items);
    if (items.length < PAGE) break;
  }
  return found;
}

/**
 * https://docs.github.com/en/rest/issues: a pull request's comments are those of the issue of the same
 * number.
 */
function gitHub(api: Api, pullRequest: string): Forge {
  const item = z
    .object({ id: z.number(), body: z.string().nullable() })
    .transform(({ id, body }): Posted => ({ id, body: body ?? "" }));
  const issue = z
    .object({ number: z.number(), body: z.string().nullable() })
    .transform(({ number, body }): Posted => ({ id: number, body: body ?? "" }));
  const comments = `/issues/${pullRequest}/comments`;
  return {
    comments: () => all(api, comments, item),
    addComment: async (body) => void (await call(api, "POST", comments, { body })),
    changeComment: async (id, body) => void (await call(api, "PATCH", `/issues/comments/${id}`, { body })),
    issues: () => all(api, `/issues?state=open&labels=${LABEL}`, issue),
    addIssue: async (title, body) =>
      void (await call(api, "POST", "/issues", { title, body, labels: [LABEL] })),
    changeIssue: async (id, body, close) =>
      void (await call(api, "PATCH", `/issues/${id}`, { body, ...(close ? { state: "closed" } : {}) })),
  };
}

/** https://docs.gitlab.com/api/notes/ and https://docs.gitlab.com/api/issues/ */
function gitLab(api: Api, mergeRequest: string): Forge {
  const note = z
    .object({ id: z.number(), body: z.string() })
    .transform(({ id, body }): Posted => ({ id, body }));
  const issue = z
    .object({ iid: z.number(), description: z.string().nullable() })
    .transform(({ iid, description }): Posted => ({ id: iid, body: description ?? "" }));
  const notes = `/merge_requests/${mergeRequest}/notes`;
  return {
    comments: () => all(api, `${notes}?sort=asc`, note),
    addComment: async (body) => void (await call(api, "POST", notes, { body })),
    changeComment: async (id, body) => void (await call(api, "PUT", `${notes}/${id}`, { body })),
    issues: () => all(api, `/issues?state=opened&labels=${LABEL}`, issue),
    addIssue: async (title, description) =>
      void (await call(api, "POST", "/issues", { title, description, labels: LABEL })),
    changeIssue: async (id, description, close) =>
      void (await call(api, "PUT", `/issues/${id}`, {
        description,
        ...(close ? { state_event: "close" } : {}),
      })),
  };
}

/**
 * The forge of the current pipeline, from its variables:
 * https://docs.github.com/en/actions/reference/workflows-and-actions/variables,
 * https://docs.gitlab.com/ci/variables/predefined_variables/
 * @param number Of the pull request; undefined for the pipeline's own.
 * @throws UsageProblem that names the missing variable.
 */
export function forgeOf(
  env: Environment,
  place: Place,
  number: string | undefined,
  signal: AbortSignal,
): Forge {
  const needed = (name: string, what: string): string => {
    const value = env[name];
    if (value) return value;
    throw new UsageProblem(`${name} is not set: ${what}.`);
  };
  const pullRequest = (own: string | undefined): string => {
    if (place === "issue") return "0";
    const chosen = number ?? own;
    if (chosen !== undefined && /^[1-9]\d*$/.test(chosen)) return chosen;
    throw new UsageProblem("This is no pipeline of a pull request. Say which one: --number 12");
  };
  if (env["GITLAB_CI"]) {
    const token = needed(
      "GITLAB_TOKEN",
      "a project access token with scope api, from the project's CI/CD variables",
    );
    const base = `${needed("CI_API_V4_URL", "GitLab sets it")}/projects/${needed("CI_PROJECT_ID", "GitLab sets it")}`;
    const api = { name: "GitLab", base, headers: { "PRIVATE-TOKEN": token }, signal };
    return gitLab(api, pullRequest(env["CI_MERGE_REQUEST_IID"]));
  }
  const token = needed(
    "GITHUB_TOKEN",
    "give the step the job's token, github.token, as an environment variable",
  );
  const repository = needed("GITHUB_REPOSITORY", "GitHub sets it; outside of its pipelines write owner/name");
  const base = `${env["GITHUB_API_URL"] || "https://api.github.com"}/repos/${repository}`;
  const headers = { Authorization: `Bearer ${token}`, Accept: "application/vnd.github+json" };
  const own = /^refs\/pull\/(\d+)\//.exec(env["GITHUB_REF"] ?? "")?.[1];
  return gitHub({ name: "GitHub", base, headers, signal }, pullRequest(own));
}
