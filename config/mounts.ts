/** SkyPilot's file mounts: https://docs.skypilot.co/en/latest/reference/yaml-spec.html#file-mounts */
import { z } from "zod";
import { allowedText, dictionary, flag, oneOf, text, wrong } from "./values";

const MOUNT_PATH = {
  noun: "a path on the nodes",
  allowed: "a path that starts with / or ~/ and does not end with /",
  pattern: /^~?\/[^\p{Cc}\p{Cs}]*[^/\p{Cc}\p{Cs}]$/u,
};

/**
 * Keys of a storage, in `get_storage_schema` of sky/utils/schemas.py; the store `VOLUME` is superseded by
 * `sky.volumes`.
 */
const STORAGE_KEYS = ["name", "source", "store", "persistent", "mode", "type", "config"] as const;

const MODES = ["MOUNT", "COPY", "MOUNT_CACHED"] as const;

const source = () => {
  const allowed = `a path of this machine or a URL of a bucket that does not end with /, or an object with ${STORAGE_KEYS.join(", ")}; mode is ${MODES.join(", ")}`;
  const error = wrong("something to mount", allowed);
  const storage = z.strictObject(
    {
      name: text({ noun: "a name", allowed: "text" }).exactOptional(),
      source: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).exactOptional(),
      store: text({ noun: "a store", allowed: "text" }).exactOptional(),
      persistent: flag().exactOptional(),
      mode: oneOf("a mode", MODES).exactOptional(),
      type: text({ noun: "a type", allowed: "text" }).exactOptional(),
      config: z.record(z.string(), z.json()).exactOptional(),
    },
    { error },
  );
  return z
    .union([z.string().regex(/^[^\p{Cc}\p{Cs}]*[^/\s\p{Cc}\p{Cs}]$/u, { error }), storage], { error })
    .register(allowedText, { allowed });
};

export const fileMountsSchema = () =>
  dictionary("paths on the nodes and what is mounted there", MOUNT_PATH, source());

export const volumesSchema = () => {
  const allowed = "the name of a volume, as `sky volumes ls` has it";
  const error = wrong("the name of a volume", allowed);
  const name = z
    .string({ error })
    .regex(/^[A-Za-z0-9][\w.-]*$/, { error })
    .register(allowedText, { allowed });
  return dictionary("paths on the nodes and names of volumes", MOUNT_PATH, name);
};
