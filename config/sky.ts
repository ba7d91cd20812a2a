import { z } from "zod";
import { imageSchema } from "./images";
import { CLOUDS, cloudOf, infraKind } from "./infra";
import { fileMountsSchema, volumesSchema } from "./mounts";
import { plainObject } from "./plain";
import { notPlain } from "./plainYaml";
import {
  allowedText,
  decimal,
  dictionary,
  environment,
  flag,
  list,
  oneOf,
  optional,
  required,
  section,
  setting,
  text,
  whole,
  wrong,
} from "./values";

const infraName = () =>
  text({
    noun: "an infra",
    allowed: `what \`sky launch --infra\` takes, such as aws, gcp/us-central1, k8s/my-context or slurm/lab: one of ${CLOUDS.join(", ")}, or *, perhaps with a place`,
    accepts: (infra) => {
      const [cloud = "", ...parts] = infra.split("/");
      // A context may have slashes; elsewhere it is a region and a zone, or a cluster and a partition.
      const isContext = infraKind(cloud) === "Kubernetes";
      const places = isContext && parts.length > 0 ? [parts.join("/")] : parts;
      // SkyPilot puts them into YAML as they are, but none that may be any.
      const isPlain = places.every((place) => place === "*" || notPlain(place) === undefined);
      const isKnown = ["*", ...CLOUDS].includes(cloudOf(cloud)) && parts.every((part) => PLACE.test(part));
      return isKnown && isPlain && places.length <= 2;
    },
  });

/** A region, zone, context of Kubernetes, cluster or partition of Slurm; or one part of it. */
const PLACE = /^[\p{L}\p{N}_.*@:+=~,%()[\]-]+$/u;

/** One infra, or several. */
const infras = () => {
  const several = list("infras", infraName());
  const allowed = "an infra such as aws, gcp/us-central1, k8s/my-context or slurm/lab, or a list of them";
  const error = wrong("an infra or a list of infras", allowed);
  return z
    .union([several, infraName().transform((only) => [only])], { error })
    .register(allowedText, { allowed });
};

/** A number, with `+` for at least, and units where SkyPilot knows some. */
const amount = (noun: string, example: string, units = "") => {
  const allowed = `a number, or in quotes with + for at least${units === "" ? "" : " and a unit (KB, MB, GB, TB, PB)"}, such as ${example}`;
  const error = wrong(noun, allowed);
  const pattern = new RegExp(`^\\d+(\\.\\d+)?${units}\\+?$`, "i");
  const written = text({ noun, allowed, pattern });
  // Numbers such as 1e-7 are written in a way that SkyPilot does not read.
  const plain = z
    .number({ error })
    .positive({ error })
    .refine((amount) => pattern.test(String(amount)), { error });
  const number = plain.transform(String);
  return z.union([written, number], { error }).register(allowedText, { allowed });
};

const skyConfig = () => plainObject("an object with keys of SkyPilot's config.yaml");

/** Login at a private registry: https://docs.skypilot.co/en/latest/examples/docker-containers.html#private-registries */
const registrySchema = section({
  server: required(
    text({
      noun: "a registry",
      allowed:
        "a host, with a port and a path where it has them, such as nvcr.io, registry.example.com:5000 or us-docker.pkg.dev/project",
      pattern: /^([A-Za-z0-9]([\w.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?(\/[\w.-]+)*$/,
    }),
    { about: "The registry that holds `sky.image`." },
  ),
  username: required(
    text({
      noun: "a user name",
      allowed: "text on one line without spaces around it, such as $oauthtoken",
      pattern: /^[^\s\p{Cc}\p{Cs}]([^\p{Cc}\p{Cs}\u2028\u2029]*[^\s\p{Cc}\p{Cs}])?$/u,
    }),
    { about: "Who logs in; for NVIDIA's registry `$oauthtoken`." },
  ),
});

/**
 * Resource requests to SkyPilot. Fields are those of its task YAML:
 * https://docs.skypilot.co/en/latest/reference/yaml-spec.html
 */
export const skySchema = section({
  infra: setting(infras(), {
    default: [],
    about:
      "Where to provision. Of several, SkyPilot takes the cheapest, and the next one where that has no capacity (`any_of`). Empty: any that is set up.",
  }),
  useSpot: setting(flag(), {
    default: false,
    about:
      "Spot instances: cheaper, and can be taken away. With placement `dedicated` the control plane's cluster is never one, and a pool may say otherwise (`spot`).",
  }),
  deleteBeforeReplace: setting(flag(), {
    default: true,
    about:
      "Another infra, accelerator, number of nodes or image makes another cluster: true takes the old one down first. When false, the new one has to answer first: no gap in service, and both are paid for meanwhile.",
  }),
  retryUntilUp: setting(flag(), {
    default: false,
    about:
      "Tries again until there is capacity, within `timeouts.provisionMinutes`; on Slurm also waits for what only others end, such as a group's limit or a partition that is down.",
  }),
  autostopMinutes: optional(whole({ min: 1, max: 525_600, noun: "a whole number of minutes" }), {
    absent: "never",
    unit: "minutes",
    about: "Stops a cluster that was idle for this long. A serving cluster runs its task and is not idle.",
  }),
  autostopDown: setting(flag(), {
    default: true,
    about: "Autostop tears the cluster down instead of stopping it.",
  }),
  diskSizeGB: optional(whole({ min: 32, max: 65_536 }), {
    absent: "SkyPilot's own",
    unit: "GB",
    about:
      "Size of each node's disk. With placement `dedicated` the control plane's node, which has no weights, gets no more than SkyPilot's own 256 GB.",
  }),
  diskTier: optional(oneOf("a disk tier", ["low", "medium", "high", "ultra", "best", "none"]), {
    absent: "SkyPilot's own",
    about:
      "Speed of each node's disk; with placement `dedicated` not of the control plane's, which has no weights.",
  }),
  networkTier: optional(oneOf("a network tier", ["standard", "best"]), {
    absent:
      "best with more than one node, at clouds where SkyPilot can ask for it (AWS, GCP, IBM, Nebius, OCI); else SkyPilot's own",
    about:
      "`best` asks for RDMA, which KV transfer between nodes wants. Places that cannot give it are left out then: on Kubernetes set it where the cluster has RDMA.",
  }),
  rdma: optional(oneOf("an answer", ["required", "optional"]), {
    absent: "required where `sky.networkTier` is set to best, else optional",
    about:
      "Whether nodes must have an RDMA device, where replicas span nodes or hand over KV blocks to another node. `required`: a node without one starts no engine, instead of using TCP in silence. `optional`: `status` and its log say so.",
  }),
  image: optional(imageSchema(), {
    absent: "the engine's NGC image where containers can run",
    about:
      "Image that the nodes run: a container (`docker:…`), or an image of the cloud's machines, of which each region has its own.",
  }),
  registry: optional(registrySchema, {
    absent: "no login: public images only",
    about:
      "Login at the registry of `sky.image`, with `registryPassword` as the password. Not on Kubernetes, where `sky.config` names a pull secret.",
  }),
  instanceType: optional(
    text({
      noun: "an instance type",
      allowed: "a name of the cloud, such as p5.48xlarge",
      // Those of OCI have a $.
      accepts: (type) => /^[A-Za-z0-9][\w.:/+$-]*$/.test(type) && notPlain(type) === undefined,
    }),
    {
      absent: "SkyPilot's choice",
      about:
        "Instance type of the nodes; with placement `dedicated` not of the control plane's, which has no GPUs.",
    },
  ),
  cpus: optional(amount("a number of CPUs", '32 or "32+"'), {
    absent: "SkyPilot's choice",
    unit: "virtual CPUs",
    about: "CPUs of each node.",
  }),
  memory: optional(amount("an amount of memory", '256, "256+" or "1TB"', "([KMGTP]B)?"), {
    absent: "SkyPilot's choice",
    unit: "GB",
    about: "Memory of each node.",
  }),
  maxHourlyCost: optional(decimal({ min: 0.01, max: 1_000_000, noun: "a number of dollars" }), {
    absent: "no limit but limits.dollarsPerHour",
    unit: "US dollars an hour",
    about:
      "Most that one machine may cost, also the control plane's. SkyPilot leaves out instance types that cost more (the task's `max_hourly_cost`); where it may take a dearer one all the same, the deployment is refused before anything is provisioned. A change starts nothing anew.",
  }),
  openEndpoint: setting(flag(), {
    default: false,
    about:
      "Opens the endpoint's port to the internet; only with `access.gateway`, which asks for a key, and with TLS. When false, only machines of the same network reach it.",
  }),
  labels: setting(
    dictionary(
      "labels and their values as text",
      {
        noun: "the name of a label",
        allowed: "letters, digits and . _ / : = + @ -, as the cloud allows it",
        pattern: /^[\p{L}\p{N}_][\p{L}\p{N}_./:=+@-]*$/u,
      },
      text({ noun: "text", allowed: "text on one line", pattern: /^[^\n\r\0]*$/ }),
    ),
    {
      default: {},
      about:
        "Labels (tags) of the cloud's resources, on AWS, Azure, GCP and Kubernetes; SkyPilot drops them elsewhere.",
    },
  ),
  envs: setting(environment(), {
    default: {},
    about: "Environment variables of the task on every node. Not for secrets.",
  }),
  fileMounts: setting(fileMountsSchema(), {
    default: {},
    about:
      "What SkyPilot brings to every node (the task's `file_mounts`): by the path there, a path of this machine, a bucket's URL, or a storage. What it holds is not looked at: a change there starts nothing anew. For files that programs read, `files` does.",
  }),
  volumes: setting(volumesSchema(), {
    default: {},
    about:
      "Volumes of SkyPilot that every node has (the task's `volumes`), by the path there. A change makes another cluster.",
  }),
  config: optional(skyConfig(), {
    absent: "none",
    about:
      "SkyPilot configuration for these clusters alone (the task's `config:`), of the keys that SkyPilot takes from a task, such as `kubernetes.pod_config`. A change makes another cluster.",
  }),
});
