/** Checks of the nodes' image: an NVIDIA image must have the supported release and contain the engine. */
import { ENGINES, type EngineName, engines, isSimulated } from "../../engines";
import { type Image, machineImages, programsImage } from "../images";
import { cloudOf, infraKind, runsAsImageUser } from "../infra";
import type { Problem } from "../problems";
import { isRootUser } from "../runOptions";
import { listed, show } from "../values";
import { IMAGE_REGISTRY, VERSIONS } from "../versions";
import type { Known } from ".";

/** `nvcr.io/nvidia/ai-dynamo/<name>:<tag>`; a tag may end with a variant, such as `-efa`. */
const DYNAMO_IMAGE = /(?:^|:)nvcr\.io\/nvidia\/ai-dynamo\/([\w.-]+)(?::([\w.-]+))?/;

/** NVIDIA's image of an engine, as SkyPilot takes it; undefined if PyPI's packages are enough. */
export function dynamoImage(engine: EngineName): string | undefined {
  const { release } = engines[engine];
  return release && `docker:${IMAGE_REGISTRY}/${release.imageName}:${VERSIONS.dynamo}`;
}

/** Whether the image is one of NVIDIA's Dynamo images. */
export function isDynamoImage(image: string): boolean {
  return DYNAMO_IMAGE.test(image);
}

/** Whether the nodes run the release whose flags are known here, as far as their image tells. */
export function isKnownRelease(written: Image | undefined): boolean {
  const image = programsImage(written);
  if (image === undefined) return true;
  const [, , tag] = DYNAMO_IMAGE.exec(image) ?? [];
  return tag === VERSIONS.dynamo || tag?.startsWith(`${VERSIONS.dynamo}-`) === true;
}

export function imageChecks(known: Known): Problem[] {
  return [
    ...prefixProblems(known),
    ...releaseProblems(known),
    ...acceleratorProblems(known),
    ...userProblems(known),
  ];
}

/** A registry's host and a path, which no machine image of a cloud has. */
export function isOfRegistry(image: string): boolean {
  return /^[\w-]+(\.[\w-]+)+(:\d+)?\/[^:]+/.test(image);
}

/** SkyPilot takes an image without `docker:` for one of the cloud's machines, except on Kubernetes. */
function prefixProblems({ sky, target }: Known): Problem[] {
  if (sky === undefined || target === "local") return [];
  const machines = sky.infra.filter((infra) => infraKind(infra) !== "Kubernetes");
  if (sky.infra.length > 0 && machines.length === 0) return [];
  return machineImages(sky.image).flatMap(({ region, name }): Problem[] => {
    if (!isOfRegistry(name)) return [];
    const message = `${show(name)} is taken for an image of the cloud's machines. Write docker:${name} for a container${region === undefined ? "" : ", in the place of the regions"}.`;
    return [{ path: ["sky", "image", ...(region === undefined ? [] : [region])], message }];
  });
}

/**
 * Accelerators, by SkyPilot's names, that are not NVIDIA GPUs: AMD Instinct and Radeon, Intel Gaudi, Google's
 * and AWS's own.
 */
const NOT_NVIDIA = /^(MI\d|Radeon|Gaudi|tpu-|Trainium|Inferentia)/i;

/**
 * NVIDIA's images, and Dynamo's engines from PyPI, are built for CUDA: without a custom image nothing would
 * start on these.
 */
function acceleratorProblems({ sky, engine, target, cluster, pools = [] }: Known): Problem[] {
  if (sky === undefined || target === "local" || engine === undefined || isSimulated(engine)) return [];
  const image = programsImage(sky.image);
  if (image !== undefined && !isDynamoImage(image)) return [];
  const named = [
    { path: ["cluster", "accelerator"], accelerator: cluster?.accelerator },
    ...pools.map(({ accelerator }, index) => ({ path: ["pools", index, "accelerator"], accelerator })),
  ];
  return named.flatMap(({ path, accelerator }): Problem[] => {
    if (accelerator === undefined || !NOT_NVIDIA.test(accelerator)) return [];
    const message = `${show(accelerator)} is no GPU of NVIDIA's, and ${image ?? "what the nodes run by default"} is built for CUDA. Use a GPU of NVIDIA's, or set sky.image to an image with Dynamo and ${engine} for this accelerator.`;
    return [{ path, message }];
  });
}

/** The user of NVIDIA's images is neither root nor has sudo, and SkyPilot needs one of the two. */
function userProblems({ sky, target }: Known): Problem[] {
  const image = programsImage(sky?.image);
  if (sky === undefined || image === undefined || target === "local" || !isDynamoImage(image)) return [];
  const without = sky.infra.filter((infra) => runsAsImageUser(infra) && !hasVastUser(infra, sky.config));
  if (without.length === 0) return [];
  const message = `${show(image)} runs as its own user on ${listed(without)}, without the root or sudo that SkyPilot needs there. Remove it: nodes run SkyPilot's own image then, with Dynamo from PyPI.`;
  return [{ path: ["sky", "image"], message }];
}

/** Vast can be asked for another user: https://docs.vast.ai/api-reference/instances/create-instance */
function hasVastUser(infra: string, config: unknown): boolean {
  const vast = (config as { readonly vast?: { readonly create_instance_kwargs?: object } } | undefined)?.vast;
  const { user } = (vast?.create_instance_kwargs ?? {}) as { readonly user?: unknown };
  return cloudOf(infra) === "vast" && typeof user === "string" && isRootUser(user);
}

function releaseProblems({ sky, engine }: Known): Problem[] {
  const image = programsImage(sky?.image);
  const [, name, tag] = DYNAMO_IMAGE.exec(image ?? "") ?? [];
  const right = engine && dynamoImage(engine);
  if (image === undefined || name === undefined || engine === undefined || right === undefined) return [];
  const path = ["sky", "image"];
  const remedy = `Use ${right}, or remove this.`;
  if (ENGINES.some((other) => other !== engine && engines[other].release?.imageName === name)) {
    return [{ path, message: `${show(image)} holds another engine than ${engine}. ${remedy}` }];
  }
  const release = VERSIONS.dynamo.replace(/\.\d+$/, "");
  if (tag === undefined || tag.startsWith(`${release}.`)) return [];
  const message = `${show(image)} is not of Dynamo ${release}, whose flags the workers are started with. ${remedy}`;
  return [{ path, message }];
}
