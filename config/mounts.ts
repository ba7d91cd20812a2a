/**
 * SkyPilot's file mounts and volumes, in their form. What they say is checked by `checks/mounts.ts`.
 * https://docs.skypilot.co/en/latest/reference/yaml-spec.html#file-mounts
 */
import { z } from "zod";
import { allowedText, dictionary, flag, listed, text, wrong } from "./values";

const MOUNT_PATH = {
  noun: "a path on the nodes",
  allowed: "a path that starts with / or ~/ and does not end with /",
  pattern: /^~?\/[^\p{Cc}\p{Cs}]*[^/\p{Cc}\p{Cs}]$/u,
};

/**
 * Keys of a storage, in `get_storage_schema` of sky/utils/schemas.py; the store `VOLUME` is superseded by
 * `sky.volumes`. SkyPilot takes the names of modes, stores and types in either case.
 */
const STORAGE_KEYS = ["name", "source", "store", "persistent", "mode", "type", "config"] as const;

const MODES = ["MOUNT", "COPY", "MOUNT_CACHED"] as const;

const storage = (error: ReturnType<typeof wrong>) =>
  z.strictObject(
    {
      name: text({ noun: "a name", allowed: "text" }).exactOptional(),
      source: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).exactOptional(),
      store: text({ noun: "a store", allowed: "text" }).exactOptional(),
      persistent: flag().exactOptional(),
      mode: z
        .string()
        .regex(new RegExp(`^(${MODES.join("|")})$`, "i"), { error: wrong("a mode", listed(MODES)) })
        .exactOptional(),
      type: text({ noun: "a type", allowed: "text" }).exactOptional(),
      config: z.record(z.string(), z.json()).exactOptional(),
    },
    { error },
  );

const source = () => {
  const allowed = `a path of this machine or a URL of a bucket that does not end with /, or an object with ${STORAGE_KEYS.join(", ")}; mode is ${MODES.join(", ")}`;
  const error = wrong("something to mount", allowed);
  return z
    .union([z.string().regex(/^[^\p{Cc}\p{Cs}]*[^/\s\p{Cc}\p{Cs}]$/u, { error }), storage(error)], { error })
    .register(allowedText, { allowed });
};

/** A bucket to mount, as in `file_mounts` of a task of SkyPilot. */
export type Storage = z.output<ReturnType<typeof storage>>;

export const fileMountsSchema = () =>
  dictionary("paths on the nodes and what is mounted there", MOUNT_PATH, source());

const words = () => z.string().min(1);

/** A volume that exists, or a directory of it: `VolumeMount.resolve` of sky/utils/volume.py. */
const namedVolume = z.strictObject({ name: words(), sub_path: words().exactOptional() });
/** A volume that comes and goes with the cluster: `resolve_ephemeral_config`. */
const newVolume = z.strictObject({
  size: z.union([words(), z.int().min(1).transform(String)]),
  type: words().exactOptional(),
  labels: z.record(z.string(), z.string()).exactOptional(),
  config: z.record(z.string(), z.json()).exactOptional(),
});
/** A directory of the machines: `resolve_host_path_config`. */
const hostVolume = z.strictObject({ host_path: words(), mode: words().exactOptional() });

const VOLUME_FORMS = [
  "{ name, sub_path } for a directory of one",
  "{ size, type, labels, config } for one that goes with the cluster (Kubernetes)",
  "{ host_path, mode } for a directory of the machines (Slurm)",
];

export const volumesSchema = () => {
  const allowed = `the name of a volume, as \`sky volumes ls\` has it, or an object: ${listed(VOLUME_FORMS)}`;
  const error = wrong("a volume", allowed);
  const name = z.string({ error }).regex(/^[A-Za-z0-9][\w.-]*$/, { error });
  const volume = z
    .union([name, namedVolume, newVolume, hostVolume], { error })
    .register(allowedText, { allowed });
  return dictionary("paths on the nodes and volumes", MOUNT_PATH, volume);
};

/** A volume to mount: the name of one, or an object of one of the three forms. */
export type Volume = z.output<ReturnType<typeof volumesSchema>>[string];
export type NewVolume = z.output<typeof newVolume>;
export type HostVolume = z.output<typeof hostVolume>;

/** Whether it is a directory of the machines, and so nothing that a cloud makes. */
export function isHostVolume(volume: Volume): volume is HostVolume {
  return typeof volume === "object" && "host_path" in volume;
}
