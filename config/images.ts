/** `sky.image`: one image for all nodes, or images of a cloud's machines by region. Pure. */
import { z } from "zod";
import { notPlain } from "./plainYaml";
import { allowedText, dictionary, text, wrong } from "./values";

export type Image = string | Readonly<Record<string, string>>;

/** Beside regions: a container on the machines. */
const CONTAINER = "docker";
const PREFIX = "docker:";

const imageText = (noun: string, allowed: string) =>
  text({
    noun,
    allowed,
    // SkyPilot puts it unquoted into YAML and shell commands. Azure gallery images begin with a slash.
    accepts: (image) =>
      /^(docker:(?=[A-Za-z0-9])|(?=[A-Za-z0-9/]))[\w.:/@+#=-]+$/.test(image) &&
      notPlain(image.replace(/^docker:/, "")) === undefined,
  });

/**
 * What SkyPilot's `image_id` takes:
 * https://docs.skypilot.co/en/latest/reference/yaml-spec.html#resources-image-id
 */
export const imageSchema = () => {
  const allowed =
    "what SkyPilot's `image_id` takes, such as docker:ubuntu:24.04, or images of a cloud's machines by region, such as { us-east-1: ami-0123, us-west-2: ami-4567 }";
  const error = wrong("an image", allowed);
  const region = {
    noun: "a region",
    allowed: `a region of the cloud, or ${CONTAINER} for a container on those machines`,
    pattern: /^[A-Za-z0-9][\w-]*$/,
  };
  const byRegion = dictionary("regions and their images", region, imageText("an image", "an image")).refine(
    (images) => Object.keys(images).length > 0,
    { error },
  );
  return z.union([imageText("an image", allowed), byRegion], { error }).register(allowedText, { allowed });
};

/** What programs run in: the container where there is one, else a machine's image. */
export function programsImage(image: Image | undefined): string | undefined {
  if (image === undefined || typeof image === "string") return image;
  const container = image[CONTAINER];
  return container === undefined ? Object.values(image)[0] : `${PREFIX}${container.replace(PREFIX, "")}`;
}

/** Images of a cloud's machines, each with its region; no region for one that is for all. */
export function machineImages(
  image: Image | undefined,
): readonly { readonly region?: string; readonly name: string }[] {
  if (image === undefined) return [];
  if (typeof image === "string") return image.startsWith(PREFIX) ? [] : [{ name: image }];
  return Object.entries(image).flatMap(([region, name]) => (region === CONTAINER ? [] : [{ region, name }]));
}
