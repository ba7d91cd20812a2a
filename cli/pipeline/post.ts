/**
 * `post`: posts a page to a pull request, as a comment, or to an issue. The comment or issue with the same
 * marker is updated, never repeated.
 */
import { EXIT } from "../commandLine";
import { UsageProblem } from "../pulumi/problem";
import { markerIn } from "./markdown";
import type { Report } from "./report";

/** Where to post a page. */
export const PLACES = ["pull-request", "issue"] as const;
export type Place = (typeof PLACES)[number];

/** An existing comment or issue. */
export interface Posted {
  readonly id: number;
  readonly body: string;
}

/**
 * Operations common to GitHub and GitLab; an instance belongs to one repository and, for comments, to one
 * pull request.
 */
export interface Forge {
  /** All comments on the pull request, oldest first. */
  comments(): Promise<readonly Posted[]>;
  addComment(body: string): Promise<void>;
  changeComment(id: number, body: string): Promise<void>;
  /** Open issues with this program's label. */
  issues(): Promise<readonly Posted[]>;
  addIssue(title: string, body: string): Promise<void>;
  changeIssue(id: number, body: string, close: boolean): Promise<void>;
}

/** What to post. */
export interface Post {
  readonly place: Place;
  /** Markdown that starts with a marker. */
  readonly text: string;
  /** Title of a new issue. */
  readonly title: string;
  /** Whether to close the issue; if there is none, none is created. */
  readonly close: boolean;
}

/**
 * Posts a page. @throws UsageProblem if it has no marker; Error with the forge's message if that rejects it.
 */
export async function post(forge: Forge, { place, text, title, close }: Post): Promise<Report> {
  const marker = markerIn(text);
  if (marker === undefined) {
    throw new UsageProblem(
      "--file: the page does not begin with a marker (<!-- dynamo-sky:… -->). Post what the other verbs have written.",
    );
  }
  const there = await (place === "issue" ? forge.issues() : forge.comments());
  const found = there.find(({ body }) => body.startsWith(marker));
  const action = await carryOut();
  const json = { verb: "post", to: place, action };
  return { markdown: `${place}: ${action}\n`, json, exitCode: EXIT.ok };

  async function carryOut(): Promise<"created" | "updated" | "closed" | "nothing to do"> {
    if (place === "pull-request") {
      if (found === undefined) await forge.addComment(text);
      else await forge.changeComment(found.id, text);
      return found === undefined ? "created" : "updated";
    }
    if (found !== undefined) {
      await forge.changeIssue(found.id, text, close);
      return close ? "closed" : "updated";
    }
    if (close) return "nothing to do";
    await forge.addIssue(title, text);
    return "created";
  }
}
