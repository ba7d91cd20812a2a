/** What SkyPilot mounts on nodes: file mounts and volumes. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, test } from "vitest";
import { parse } from "yaml";
import { DynamoCluster, type DynamoClusterArgs } from "../../components";
import { prepare } from "../../components/deployment";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { taskIdentity } from "../../sky/task";
import { textOfTask } from "../runtime";
import { runOnMocks } from "./componentsMocks";
import { messageOf } from "./configMessages";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "mounts-"));
});
afterEach(() => {
  if (existsSync(at("closed"))) chmodSync(at("closed"), 0o700);
  rmSync(directory, { recursive: true, force: true });
});

const at = (name: string) => join(directory, name);

/** As a user who is not root, to whom nothing is closed. */
function asAnotherUser<T>(work: () => T): T {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(65_534);
  try {
    return work();
  } finally {
    process.seteuid?.(0);
  }
}

type Refused = readonly (readonly [title: string, written: object, message: string])[];

const refusedMounts: Refused = (
  [
    [
      "from the web",
      "https://example.com/chat.jinja",
      ': "https://example.com/chat.jinja" is an address of the web, and SkyPilot brings none: of https it knows Azure\'s storage alone (https://ACCOUNT.blob.core.windows.net/CONTAINER). Fetch it to this machine, and give its path here or in dynamo-sky:files.',
    ],
    [
      "by an unknown scheme",
      "gcs://bucket/a",
      ': "gcs://bucket/a" is neither a path nor a bucket that SkyPilot knows. Allowed: a path of this machine, or a URL with s3, gs, r2, cos, oci, nebius, cw, vastdata, hf, or https of Azure\'s storage. Did you mean "gs://"?',
    ],
    [
      "without name and source",
      { mode: "MOUNT" },
      ": has neither name nor source. Give it the source to mount, or the name of a bucket to make.",
    ],
    [
      "at an unknown store",
      { name: "mine", store: "gs3" },
      '.store: "gs3" is no store of SkyPilot\'s. Allowed: s3, gcs, azure, r2, ibm, oci, nebius, coreweave, vastdata, hf. Did you mean "s3"?',
    ],
    [
      "as a volume",
      { name: "mine", store: "volume" },
      '.store: "volume" is not for file mounts any more. Use sky.volumes.',
    ],
    [
      "as a part of a bucket",
      { source: "s3://bucket/data" },
      '.source: "s3://bucket/data" is a path in a bucket, and mode MOUNT mounts whole buckets. Set mode to COPY, or name the bucket alone.',
    ],
    [
      "from a bucket by two names",
      { name: "mine", source: "gs://bucket" },
      '.name: "mine" does not go with the source "gs://bucket", which has its bucket\'s name. Remove it.',
    ],
    [
      "by a name that is a URL",
      { name: "s3://bucket" },
      '.name: "s3://bucket" is a URL. Say it as source; a name is that of a bucket to make.',
    ],
    [
      "from this machine without a name",
      { source: "/etc", mode: "COPY" },
      '.source: "/etc" is on this machine, so SkyPilot uploads it to a bucket, which needs a name. Add name, or write the path alone, without an object: then it is copied to the nodes.',
    ],
    [
      "with a type of another mode",
      { source: "s3://bucket", type: "DATASET_RO" },
      '.type: "DATASET_RO" goes with mode MOUNT_CACHED alone, and mode is MOUNT. Remove it, or set mode to MOUNT_CACHED.',
    ],
  ] as const
).map(([title, mount, message]) => [
  title,
  { sky: { fileMounts: { "/mnt": mount } } },
  `dynamo-sky:sky.fileMounts["/mnt"]${message}`,
]);

const refusedVolumes: Refused = (
  [
    [
      "as a directory of a cloud's machines",
      { infra: "aws" },
      { host_path: "/lustre" },
      ".host_path: is a directory of the machines, which SkyPilot mounts on Slurm alone. Set sky.infra to slurm/CLUSTER, or take this out.",
    ],
    [
      "into no container",
      { infra: "slurm/hpc" },
      { host_path: "/lustre" },
      ".host_path: is mounted into a container, and nodes of Slurm run none by default: there, programs see the machine's own directories. Remove it, or set sky.image (docker:…).",
    ],
    [
      "in a mode that SkyPilot has not",
      { infra: "slurm/hpc", image: "docker:me/own:1" },
      { host_path: "/lustre", mode: "w" },
      '.mode: "w" is no mode. Allowed: ro, which is the default, and rw.',
    ],
    [
      "outside of a volume",
      { infra: "k8s" },
      { name: "disk", sub_path: "../all" },
      '.sub_path: "../all" is not a path in a volume. Allowed: letters, digits and . _ - /, without a / at its start and without a part "..".',
    ],
    [
      "by two nodes, where one can",
      { infra: "k8s" },
      { size: "100Gi" },
      ".config.access_mode: is ReadWriteOnce by default, and only one node can mount such a volume. Set it to ReadWriteMany, or use one node.",
    ],
    [
      "new, where SkyPilot makes none",
      { infra: "runpod" },
      { size: "100Gi", config: { access_mode: "ReadWriteMany" } },
      ': asks "runpod" for a volume that goes with the cluster, which SkyPilot makes on Kubernetes alone. Make it with `sky volumes apply` and give its name, or remove it.',
    ],
  ] as const
).map(([title, sky, volume, message]) => [
  title,
  {
    ...(sky.infra === "k8s" ? { cluster: { nodes: 2 } } : {}),
    sky: { ...sky, volumes: { "/mnt": volume } },
  },
  `dynamo-sky:sky.volumes["/mnt"]${message}`,
]);

describe("what SkyPilot mounts", () => {
  const storage = { source: "s3://bucket/data", mode: "COPY" };
  const sky = {
    infra: "k8s",
    fileMounts: { "/data": storage, "~/readme": "README.md" },
    volumes: { "/mnt": "disk" },
  };
  const input = {
    model: "Qwen/Qwen3-8B",
    cluster: { nodes: 1 },
    pools: [{ role: "aggregated" as const, replicas: 8 }],
    sky,
  };
  const taskOf = (written: object) => {
    const config = parseConfig(written);
    const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
    if (cluster === undefined) throw new Error("no cluster");
    return { text: textOfTask({ cluster, config }), identity: taskIdentity({ cluster, config }) };
  };

  it("is in its task, and volumes are a part of what the cluster is", () => {
    const { text, identity } = taskOf(input);
    const task = parse(text);
    expect(task.file_mounts).toMatchObject(sky.fileMounts);
    expect(task.volumes).toEqual(sky.volumes);
    expect(identity["volumes"]).toEqual(sky.volumes);
    expect(identity).not.toHaveProperty("file_mounts");
  });

  test.each([
    [
      "k8s",
      {
        "/mnt": { name: "disk", sub_path: "team/a" },
        "/new": { size: "100Gi", config: { access_mode: "ReadWriteMany" } },
      },
    ],
    ["slurm/hpc", { "/models": { host_path: "/lustre/$USER/models", mode: "rw" } }],
  ])("may be a volume in each form that SkyPilot has on %s", (infra, volumes) => {
    const { text } = taskOf({ ...input, sky: { infra, image: "docker:me/own:1", volumes } });
    expect(parse(text).volumes).toEqual(volumes);
  });

  it("is refused before anything is made where it is not on this machine, of a storage too", async () => {
    writeFileSync(at("here"), "");
    const fileMounts = {
      "/a": at("gone"),
      "/b": { name: "one", source: at("gone"), mode: "COPY" as const },
      "/c": { name: "up", source: [at("here"), at("gone")] },
      "/d": { name: "mine", store: "s3" },
      "/e": { source: "s3://bucket" },
      "/f": { name: "file", source: at("here") },
    };
    const made = runOnMocks(
      "preview",
      () => new DynamoCluster("dynamo", { ...input, sky: { ...sky, fileMounts } }),
    );
    const problem = (path: string) =>
      `dynamo-sky:sky.fileMounts${path}: "${at("gone")}" is not there (${at("gone")}). Allowed: a path of this machine that can be read, or a URL of a bucket.`;
    await expect(made).rejects.toThrow(
      [
        problem('["/a"]'),
        problem('["/b"].source'),
        problem('["/c"].source[1]'),
        `dynamo-sky:sky.fileMounts["/f"].source: "${at("here")}" is a file, and SkyPilot makes a bucket of a directory. Write it in a list, [${at("here")}], or its path alone, without an object.`,
      ].join("\n"),
    );
  });

  const allowed = "Allowed: a path of this machine that can be read, or a URL of a bucket.";
  const deployed = (more: Partial<DynamoClusterArgs>) => prepare({ ...input, ...more });

  it("is refused before anything is made where this user cannot read it, of a storage too", () => {
    mkdirSync(at("closed"));
    writeFileSync(at("closed/one"), "");
    writeFileSync(at("secret"), "", { mode: 0o000 });
    chmodSync(at("closed"), 0o000);
    const fileMounts = {
      "/a": at("closed/one"),
      "/b": { name: "one", source: at("closed/one"), mode: "COPY" as const },
      "/c": at("closed"),
      "/d": at("secret"),
    };
    const closed = (path: string, name: string, otherwise = allowed) =>
      `dynamo-sky:${path}: "${at(name)}" cannot be read by this user (${at(name)}). ${otherwise}`;
    const most =
      "Allowed: a file or directory that can be read, of at most 100 MB; sky.fileMounts brings more.";
    const files = { one: at("closed/one"), secret: at("secret") };
    expect(() => asAnotherUser(() => deployed({ sky: { ...sky, fileMounts }, files }))).toThrow(
      [
        closed("files.one", "closed/one", most),
        closed("files.secret", "secret", most),
        closed('sky.fileMounts["/a"]', "closed/one"),
        closed('sky.fileMounts["/b"].source', "closed/one"),
        closed('sky.fileMounts["/c"]', "closed"),
        closed('sky.fileMounts["/d"]', "secret"),
      ].join("\n"),
    );
  });

  it("is refused where it is a link in a circle, or nothing that can be copied", () => {
    symlinkSync(at("loop"), at("loop"));
    execFileSync("mkfifo", [at("pipe")]);
    const fileMounts = {
      "/a": { name: "two", source: at("loop"), mode: "COPY" as const },
      "/b": at("pipe"),
    };
    expect(() => deployed({ sky: { ...sky, fileMounts } })).toThrow(
      [
        `dynamo-sky:sky.fileMounts["/a"].source: "${at("loop")}" leads nowhere: it is a link in a circle (${at("loop")}). ${allowed}`,
        `dynamo-sky:sky.fileMounts["/b"]: "${at("pipe")}" is neither a file nor a directory. Allowed: a path of one, or a URL of a bucket.`,
      ].join("\n"),
    );
  });

  test.each<Refused[number]>([
    [
      "on this machine",
      { target: "local", sky: { volumes: { "/mnt": "disk" } } },
      "dynamo-sky:sky.volumes: has no effect on target local, where SkyPilot is not asked. Remove it; dynamo-sky:files brings files there too.",
    ],
    [
      "in this program's own directory",
      { sky: { fileMounts: { "~/.dynamo-sky/model": "s3://a/b" } } },
      'dynamo-sky:sky.fileMounts["~/.dynamo-sky/model"]: is in ~/.dynamo-sky, which is this program\'s own on a node. Choose another path.',
    ],
    [
      "at a path with a slash at its end",
      { sky: { volumes: { "/mnt/": "disk" } } },
      'dynamo-sky:sky.volumes["/mnt/"]: "/mnt/" is not a path on the nodes. Allowed: a path that starts with / or ~/ and does not end with /.',
    ],
    [
      "twice at one path",
      { sky: { volumes: { "/mnt": "disk" }, fileMounts: { "/mnt": "s3://a/b" } } },
      'dynamo-sky:sky.volumes["/mnt"]: is mounted by sky.fileMounts already. Choose another path for one of the two.',
    ],
    [
      "from a URL with a slash at its end",
      { sky: { fileMounts: { "/mnt": "s3://bucket/" } } },
      'dynamo-sky:sky.fileMounts["/mnt"]: "s3://bucket/" is not something to mount. Allowed: a path of this machine or a URL of a bucket that does not end with /, or an object with name, source, store, persistent, mode, type, config; mode is MOUNT, COPY, MOUNT_CACHED.',
    ],
    [
      "in a way that SkyPilot has not",
      { sky: { fileMounts: { "/mnt": { source: "s3://a/b", mode: "LINK" } } } },
      'dynamo-sky:sky.fileMounts["/mnt"].mode: "LINK" is not a mode. Allowed: MOUNT, COPY, MOUNT_CACHED.',
    ],
    ...refusedMounts,
    ...refusedVolumes,
  ])("is refused %s", (_title, written, message) => {
    expect(messageOf(written)).toBe(message);
  });
});
