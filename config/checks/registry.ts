/**
 * The login at a registry. SkyPilot 0.14.1 logs in where it pulls an image, and puts the server before the
 * name of an image that does not begin with it: `format_image` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/provision/docker_utils.py.
 */
import { programsImage } from "../images";
import { infraKind, isSlurm, runsContainers } from "../infra";
import type { Problem } from "../problems";
import { show } from "../values";
import type { Known } from ".";
import { dynamoImage } from "./image";

export function registryChecks(known: Known): Problem[] {
  const { sky, registryPassword, target } = known;
  if (sky === undefined) return [];
  const { registry, infra } = sky;
  if (registry === undefined) {
    if (registryPassword === undefined) return [];
    const message =
      "has no effect without sky.registry, which says where it is for. Set that, or remove this.";
    return [{ path: ["registryPassword"], message }];
  }
  const path = ["sky", "registry"];
  if (registryPassword === undefined) {
    const message =
      "needs a password. Run: pulumi config set --secret dynamo-sky:registryPassword (it asks for the value).";
    return [{ path, message }];
  }
  if (target === "local")
    return [{ path, message: "has no effect on target local, where no image is pulled. Remove it." }];
  if (infra.some(isSlurm)) {
    const message =
      "has no effect on Slurm, where SkyPilot logs in nowhere: Pyxis pulls images with the credentials of enroot, which are in ~/.config/enroot/.credentials of your user there. Put the login there, and remove this and registryPassword.";
    return [{ path, message }];
  }
  const message = imageProblem(registry.server, known);
  return message === undefined ? [] : [{ path: [...path, "server"], message }];
}

/** Whether an image's name begins with a host, as Docker decides it. */
const HOST = /^(localhost|[^/]*[.:][^/]*)\//;

/** Why no image is pulled from there; undefined if one is, or what the image is is not known. */
function imageProblem(server: string, { sky, engine }: Known): string | undefined {
  const { infra = [] } = sky ?? {};
  const image = programsImage(sky?.image);
  if (image === undefined && engine === undefined) return undefined;
  const usual = engine !== undefined && infra.every(runsContainers) ? dynamoImage(engine) : undefined;
  const pulled = image ?? usual;
  const isPod = infra.some((one) => infraKind(one) === "Kubernetes");
  if (pulled === undefined || (!pulled.startsWith("docker:") && !isPod))
    return `${show(server)} has no effect: ${pulled === undefined ? "nodes run SkyPilot's own image" : `${show(pulled)} is an image of the cloud's machines`}. Set sky.image to an image of that registry (docker:…), or remove sky.registry and registryPassword.`;
  const name = pulled.replace(/^docker:/, "");
  const [, host] = HOST.exec(name) ?? [];
  if (host === undefined || name.startsWith(`${server}/`)) return undefined;
  const whose = image === undefined ? "NVIDIA's image of the engine" : "sky.image";
  return `${show(server)} is not where ${whose} is, ${name}: SkyPilot would pull ${server}/${name}. Write ${show(host)}, or an image that begins with ${server}/.`;
}
