/**
 * Images of a cloud's machines, by region or one for all: what SkyPilot refuses when a launch begins
 * (`_try_validate_image_id` of https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/resources.py), or
 * finds nowhere.
 */
import { machineImages } from "../images";
import { cloudOf, infraKind, placeOf, takesRdmaByMachineImage } from "../infra";
import type { Problem } from "../problems";
import { listed, show } from "../values";
import type { Known } from ".";
import { isOfRegistry } from "./image";

type Images = ReturnType<typeof machineImages>;

/** An image that SkyPilot finds by a name of its own, in each region. */
const isTag = (name: string) => name.startsWith("skypilot:");

export function machineImageChecks({ sky, target }: Known): Problem[] {
  if (sky === undefined || target === "local") return [];
  const { infra, networkTier } = sky;
  const isKubernetes = infra.length > 0 && infra.every((one) => infraKind(one) === "Kubernetes");
  const images = machineImages(sky.image);
  const isByRegion = images.some(({ region }) => region !== undefined);
  // A pod's image needs no prefix. One of a registry is refused as that.
  if (images.length === 0 || (isKubernetes && !isByRegion) || images.some(({ name }) => isOfRegistry(name)))
    return [];
  const containers = images.filter(({ name }) => name.startsWith("docker:"));
  if (containers.length > 0)
    return containers.map(({ region = "", name }) => ({
      path: ["sky", "image", region],
      message: `${show(name)} is a container, which is the same in every region. Write it in the place of the regions, or under docker beside images of the machines.`,
    }));
  const path = ["sky", "image"];
  const message = cloudProblem(infra, images) ?? regionProblem(infra, images);
  const rdma = infra.filter((one) => !takesRdmaByMachineImage(one));
  return [
    ...(message === undefined ? [] : [{ path, message }]),
    ...(networkTier === "best" && rdma.length > 0
      ? [
          {
            path: ["sky", "networkTier"],
            message: `"best" does not go with the machine image ${show(images[0]?.name)} on ${listed(rdma)}: SkyPilot takes its own there, with what RDMA needs. Use a container (docker:…), or remove one of the two.`,
          },
        ]
      : []),
  ];
}

/** An image is one cloud's. */
function cloudProblem(infra: readonly string[], images: Images): string | undefined {
  const clouds = [...new Set(infra.map(cloudOf))];
  const [only = "*"] = clouds;
  const isOne = clouds.length === 1 && only !== "*" && infraKind(only) === undefined;
  if (isOne || (clouds.length > 1 && !clouds.includes("*") && images.every(({ name }) => isTag(name))))
    return undefined;
  const has = infra.length === 0 ? "is empty" : `has ${listed(infra)}`;
  return `${show(images[0]?.name)} is an image of a cloud's machines, and sky.infra ${has}. Set that to the image's cloud alone, or use a container (docker:…).`;
}

/** Each place has its image. */
function regionProblem(infra: readonly string[], images: Images): string | undefined {
  const regions = images.flatMap(({ region }) => region ?? []);
  if (regions.length === 0) {
    const open = infra.find((one) => cloudOf(one) === "aws" && placeOf(one) === undefined);
    if (open === undefined || images.every(({ name }) => isTag(name))) return undefined;
    return `${show(images[0]?.name)} is of one region of AWS, and sky.infra has ${show(open)}, any of them. Name the region there (aws/us-east-1), or write the image of each region: { us-east-1: ami-…, us-west-2: ami-… }.`;
  }
  const without = infra.filter((one) => {
    const place = placeOf(one);
    return place !== undefined && !regions.includes(place);
  });
  if (without.length === 0) return undefined;
  return `has no image for ${listed(without)}, but for the regions ${listed(regions)}. Add it, or take the place out of sky.infra.`;
}
