/** The nodes' image: an image of NVIDIA's has to be of the release that the flags are for, and has to hold the engine. */
import type { Problem } from "../problems";
import { show } from "../values";
import { ENGINE_IMAGES, IMAGE_REGISTRY, VERSIONS } from "../versions";
import type { Known } from ".";

/** `nvcr.io/nvidia/ai-dynamo/<name>:<tag>`; a tag may end with a variant, such as `-efa`. */
const DYNAMO_IMAGE = /(?:^|:)nvcr\.io\/nvidia\/ai-dynamo\/([\w.-]+)(?::([\w.-]+))?/;

export function imageChecks({ sky, engine }: Known): Problem[] {
  const [, name, tag] = DYNAMO_IMAGE.exec(sky?.image ?? "") ?? [];
  if (sky?.image === undefined || name === undefined || engine === undefined || engine === "mocker")
    return [];
  const path = ["sky", "image"];
  const right = `docker:${IMAGE_REGISTRY}/${ENGINE_IMAGES[engine]}:${VERSIONS.dynamo}`;
  const remedy = `Use ${right}, or remove this.`;
  if (name !== ENGINE_IMAGES[engine] && Object.values<string>(ENGINE_IMAGES).includes(name)) {
    return [{ path, message: `${show(sky.image)} holds another engine than ${engine}. ${remedy}` }];
  }
  const release = VERSIONS.dynamo.replace(/\.\d+$/, "");
  if (tag === undefined || tag.startsWith(`${release}.`)) return [];
  const message = `${show(sky.image)} is not of Dynamo ${release}, whose flags the workers are started with. ${remedy}`;
  return [{ path, message }];
}
