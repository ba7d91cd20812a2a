/**
 * What SkyPilot 0.14.1 would find wrong with a file mount when nodes already run, or when it makes a bucket:
 * `_validate_storage_spec` and `_validate_source` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/data/storage.py, and for text `_REGISTRY` of
 * https://github.com/skypilot-org/skypilot/blob/v0.14.1/sky/cloud_stores.py.
 */
import type { Storage } from "../mounts";
import type { Problem, SettingPath } from "../problems";
import { didYouMean, listed, nearest, show } from "../values";

/** Schemes of buckets; of `https` SkyPilot knows only Azure's containers. */
export const BUCKETS = ["s3", "gs", "r2", "cos", "oci", "nebius", "cw", "vastdata", "hf"] as const;
const AZURE = /^https:\/\/[a-z0-9]{3,24}\.blob\.core\.windows\.net(\/[^/]+)+\/?$/;
const URL_SCHEME = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//;

/** `StoreType`, without `VOLUME`, and `FileMountType`. */
export const STORES = [
  ...["s3", "gcs", "azure", "r2", "ibm", "oci", "nebius", "coreweave", "vastdata", "hf"],
] as const;
export const CACHE_TYPES = [
  "MODEL_CHECKPOINT_RO",
  "MODEL_CHECKPOINT_RW",
  "DATASET_RO",
  "DATASET_RW",
] as const;

type Said = readonly [key: keyof Storage | undefined, message: string | undefined];

export function fileMountProblems(mounts: Readonly<Record<string, string | Storage>>): Problem[] {
  return Object.entries(mounts).flatMap(([at, mount]) => {
    const path = ["sky", "fileMounts", at];
    return typeof mount === "string"
      ? found(path, [[undefined, notBrought(mount)]])
      : found(path, storageProblems(mount));
  });
}

function found(path: SettingPath, said: readonly Said[]): Problem[] {
  return said.flatMap(([key, message]): Problem[] =>
    message === undefined ? [] : [{ path: key === undefined ? path : [...path, key], message }],
  );
}

/** Why a URL is none of a bucket; undefined for those, and for a path of this machine. */
function notBrought(source: string): string | undefined {
  const scheme = URL_SCHEME.exec(source)?.[1];
  if (scheme === undefined || BUCKETS.some((one) => one === scheme)) return undefined;
  if (/^https?$/i.test(scheme))
    return AZURE.test(source)
      ? undefined
      : `${show(source)} is an address of the web, and SkyPilot brings none: of https it knows Azure's storage alone (https://ACCOUNT.blob.core.windows.net/CONTAINER). Fetch it to this machine, and give its path here or in dynamo-sky:files.`;
  const near = nearest(scheme, BUCKETS);
  const hint = didYouMean(near && `${near}://`);
  return `${show(source)} is neither a path nor a bucket that SkyPilot knows. Allowed: a path of this machine, or a URL with ${listed(BUCKETS)}, or https of Azure's storage.${hint}`;
}

function storageProblems(storage: Storage): Said[] {
  return [...sourceProblems(storage), ...wordProblems(storage)];
}

function sourceProblems({ name, source, mode = "MOUNT" }: Storage): Said[] {
  const scheme = name === undefined ? undefined : URL_SCHEME.exec(name)?.[1];
  if (scheme !== undefined)
    return [["name", `${show(name)} is a URL. Say it as source; a name is that of a bucket to make.`]];
  if (source === undefined)
    return [
      [
        undefined,
        name === undefined
          ? "has neither name nor source. Give it the source to mount, or the name of a bucket to make."
          : undefined,
      ],
    ];
  if (Array.isArray(source)) return listProblems(source, name);
  if (!URL_SCHEME.test(source)) return [["source", localProblem(source, name)]];
  const message =
    notBrought(source) ?? (mode.toUpperCase() === "COPY" ? undefined : belowBucket(source, mode));
  const both =
    name === undefined
      ? undefined
      : `${show(name)} does not go with the source ${show(source)}, which has its bucket's name. Remove it.`;
  return [
    ["source", message],
    ["name", both],
  ];
}

const NAMELESS =
  "is on this machine, so SkyPilot uploads it to a bucket, which needs a name. Add name, or write the path alone, without an object: then it is copied to the nodes.";

function localProblem(source: string, name: string | undefined): string | undefined {
  if (source.length > 1 && source.endsWith("/"))
    return `${show(source)} ends with a slash, which SkyPilot refuses. Remove it.`;
  return name === undefined ? `${show(source)} ${NAMELESS}` : undefined;
}

function listProblems(sources: readonly string[], name: string | undefined): Said[] {
  const url = sources.find((one) => URL_SCHEME.test(one));
  if (url !== undefined)
    return [["source", `${show(url)} is a URL, and a list has paths of this machine. Write it alone.`]];
  const bases = sources.map((one) => one.split("/").at(-1));
  const twice = bases.find((one, index) => bases.indexOf(one) !== index);
  if (twice !== undefined)
    return [["source", `has ${show(twice)} twice: in a bucket they would be one. Rename one of the two.`]];
  return [["source", sources.map((one) => localProblem(one, name)).find((one) => one !== undefined)]];
}

/** SkyPilot mounts whole buckets, but copies what is in one; at Hugging Face it mounts paths too. */
function belowBucket(source: string, mode: string): string | undefined {
  if (/^(hf|https):/.test(source)) return undefined;
  const isBucket = source.startsWith("cos:")
    ? /^cos:\/\/[^/]+\/[-\w]+\/?$/.test(source)
    : /^\w+:\/\/[^/]+\/*$/.test(source);
  return isBucket
    ? undefined
    : `${show(source)} is a path in a bucket, and mode ${mode.toUpperCase()} mounts whole buckets. Set mode to COPY, or name the bucket alone.`;
}

function wordProblems({ store, type, mode = "MOUNT" }: Storage): Said[] {
  return [
    ["store", store === undefined ? undefined : storeProblem(store)],
    ["type", type === undefined ? undefined : typeProblem(type, mode)],
  ];
}

function storeProblem(store: string): string | undefined {
  const written = store.toLowerCase();
  if (STORES.some((one) => one === written)) return undefined;
  if (written === "volume") return `${show(store)} is not for file mounts any more. Use sky.volumes.`;
  const hint = didYouMean(nearest(written, STORES));
  return `${show(store)} is no store of SkyPilot's. Allowed: ${listed(STORES)}.${hint}`;
}

function typeProblem(type: string, mode: string): string | undefined {
  if (!CACHE_TYPES.some((one) => one === type.toUpperCase()))
    return `${show(type)} is no type. Allowed: ${listed(CACHE_TYPES)}.`;
  return mode.toUpperCase() === "MOUNT_CACHED"
    ? undefined
    : `${show(type)} goes with mode MOUNT_CACHED alone, and mode is ${mode.toUpperCase()}. Remove it, or set mode to MOUNT_CACHED.`;
}
