import { defaultServedName, modelSource, SERVED_NAME } from "../model";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";
import { environments } from "./environments";

/**
 * Variables with a Hugging Face token.
 * https://huggingface.co/docs/huggingface_hub/package_reference/environment_variables
 */
const TOKEN_VARIABLES = ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"];

export function modelChecks(known: Known): Problem[] {
  return [...sourceProblems(known), ...nameProblems(known), ...tokenProblems(known)];
}

/** A path may have characters that a name cannot have. */
function nameProblems({ model, servedModelName }: Known): Problem[] {
  if (model === undefined || servedModelName !== undefined) return [];
  const name = defaultServedName(model);
  if (SERVED_NAME.test(name)) return [];
  const message = `is required here: ${show(name)}, the last part of dynamo-sky:model, is no name for clients, which has no spaces and commas. Set it.`;
  return [{ path: ["servedModelName"], message }];
}

function sourceProblems({ model, modelRevision, target }: Known): Problem[] {
  if (model === undefined) return [];
  const source = modelSource(model);
  const problems: Problem[] = [];
  if (source === "bucket" && target === "local") {
    problems.push({
      path: ["model"],
      message: `${show(model)} is in a bucket, which only target sky mounts. Give a hub id or an absolute path.`,
    });
  }
  if (source !== "hub" && modelRevision !== undefined) {
    problems.push({
      path: ["modelRevision"],
      message: `${show(modelRevision)} has no effect: ${show(model)} is not on the hub and has no revisions. Remove it.`,
    });
  }
  return problems;
}

function tokenProblems(known: Known): Problem[] {
  return environments(known).flatMap(({ path, env }) =>
    TOKEN_VARIABLES.filter((name) => env !== undefined && Object.hasOwn(env, name)).map((name) => ({
      path: [...path, name],
      message:
        "a token must not stand here in plain text. Remove it and run: pulumi config set --secret dynamo-sky:huggingFaceToken",
    })),
  );
}
