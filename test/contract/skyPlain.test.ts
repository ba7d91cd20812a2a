/**
 * Values that SkyPilot's templates put into YAML as they are, through those templates: what is taken arrives
 * byte for byte, and everyday values are taken. Labels also by the clouds' own rules, as SkyPilot has them.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { APPLIED_ON } from "../../config/infra";
import type { ConfigInput } from "../../config/schema";
import { packageRoot } from "../../lib/root";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { recipeText } from "../../sky/task";
import { cloudsInterpreter } from "./skyAnswer";

let python = "";
beforeAll(async () => {
  python = await cloudsInterpreter();
}, 600_000);
const TIMEOUT = 300_000;

type Case = { readonly kind: string } & Readonly<Record<string, string>>;
interface Answer {
  readonly answers: readonly unknown[];
  readonly heeding: Readonly<Record<string, readonly string[]>>;
  readonly slurmReads: boolean;
}

function asked(cases: readonly Case[]): Answer {
  const { stdout, stderr, status } = spawnSync(python, [join(__dirname, "skyPlain.py")], {
    encoding: "utf8",
    input: JSON.stringify(cases),
    maxBuffer: 64 << 20,
  });
  expect(status, stderr.slice(-2000)).toBe(0);
  return JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Answer;
}

function isTaken(sky: ConfigInput["sky"], more: Partial<ConfigInput> = {}): boolean {
  try {
    parseConfig({
      model: "Qwen/Qwen3-8B",
      pools: [{ role: "aggregated", replicas: 8 }],
      ...more,
      ...(sky === undefined ? {} : { sky }),
    });
    return true;
  } catch {
    return false;
  }
}

/** The setting that a value of each kind stands in. */
const SETTINGS: Readonly<Record<string, (value: string) => ConfigInput["sky"]>> = {
  // A machine image is one cloud's.
  image: (image) => ({ infra: "azure", image }),
  instanceType: (instanceType) => ({ instanceType }),
  context: (context) => ({ infra: `k8s/${context}` }),
  partition: (partition) => ({ infra: `slurm/lab/${partition}` }),
};

const EVERYDAY: Readonly<Record<string, readonly string[]>> = {
  image: [
    "docker:ubuntu:24.04",
    "docker:registry.example.com:5000/team/dynamo:1.6.1-efa",
    `docker:nvcr.io/nvidia/ai-dynamo/sglang-runtime@sha256:${"0123456789abcdef".repeat(4)}`,
    "docker:123456789012.dkr.ecr.us-east-1.amazonaws.com/dynamo:v1",
    "ami-0123456789abcdef0",
    "projects/deeplearning-platform-release/global/images/family/common-cu124",
    "/CommunityGalleries/AzureHPC-1234/Images/ubuntu/Versions/1.0.0",
    "ocid1.image.oc1.iad.aaaaaaaa",
    "skypilot:gpu-ubuntu-2204",
  ],
  instanceType: ["p5.48xlarge", "Standard_ND96isr_H100_v5", "VM.Standard.E4.Flex$_8_64", "1x_H100_SECURE"],
  context: [
    "arn:aws:eks:us-east-1:123456789012:cluster/gpu",
    "gke_my-project_us-central1-a_gpu",
    "kubernetes-admin@kubernetes",
    "default/api-example-com:6443/kube:admin",
    "team+gpu=1",
    "größe",
  ],
  partition: ["gpu", "h100,h200", "gpu-long"],
};

const piece = fc.oneof(
  fc.constantFrom(..."abcXYZ019._:/@+#=-$~%,*()[]{}'\"\\ |>&!?üß"),
  fc.constantFrom(
    "yes",
    "no",
    "null",
    "true",
    "1:20",
    "0x1f",
    "1e3",
    "2024-01-01",
    ": ",
    " #",
    "docker:",
    "=",
    "~",
    "---",
    ".inf",
    "0b1",
    "1_000",
  ),
);
const written = fc.array(piece, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(""));

describe("values that go into SkyPilot's YAML as they are", { timeout: TIMEOUT }, () => {
  it.each(Object.keys(SETTINGS))("arrive as they were written, where they are taken: %s", (kind) => {
    const setting = SETTINGS[kind];
    if (setting === undefined) throw new Error(kind);
    const everyday = EVERYDAY[kind] ?? [];
    expect(everyday.filter((value) => !isTaken(setting(value)))).toEqual([]);
    // A `*` is any place, which SkyPilot does not write there.
    const samples = [...new Set(fc.sample(written, 800))].filter((value) => !/(^|\/)\*(\/|$)/.test(value));
    const taken = samples.filter((value) => isTaken(setting(value)));
    expect(taken.length).toBeGreaterThan(40);
    const values = [...everyday, ...taken];
    // SkyPilot takes the first word of an image off.
    const inTemplate = values
      .map((value) => (kind === "image" ? value.replace(/^docker:/, "") : value))
      .filter(Boolean);
    const { answers } = asked(inTemplate.map((value) => ({ kind, value })));
    const arrived = answers as readonly (readonly unknown[])[];
    expect(arrived.every((lines) => lines.length > 0)).toBe(true);
    const wrong = inTemplate.filter((value, index) => arrived[index]?.some((read) => read !== value));
    expect(wrong).toEqual([]);
  });
});

describe("labels", { timeout: TIMEOUT }, () => {
  const CLOUDS: Readonly<Record<string, string>> = {
    aws: "aws",
    gcp: "gcp",
    kubernetes: "k8s/a",
    azure: "azure",
  };
  const label = (infra: string, name: string, value: string) =>
    isTaken({ infra, labels: Object.fromEntries([[name, value]]) });

  it("of every day are taken where the cloud takes them", () => {
    expect(label("aws", "Cost-Center", "R&D:42")).toBe(true);
    expect(label("aws", "kubernetes.io/cluster/gpu", "owned")).toBe(true);
    expect(label("aws", "team:owner", "me@example.com")).toBe(true);
    expect(label("azure", "Environment", "production (new)")).toBe(true);
    expect(label("gcp", "cost-center", "rnd_42")).toBe(true);
    expect(label("k8s", "example.com/team", "Search")).toBe(true);
  });

  it("are refused with the cloud's own rule", () => {
    const message = (infra: string, labels: Record<string, string>) => {
      try {
        parseConfig({ model: "a/b", pools: [{ role: "aggregated", replicas: 8 }], sky: { infra, labels } });
        return "";
      } catch (error) {
        return error instanceof Error ? error.message : String(error);
      }
    };
    expect(message("gcp", { Team: "a" })).toBe(
      'dynamo-sky:sky.labels.Team: "Team" is no label\'s name on gcp. Allowed: small letters, digits, _ and -, starting with a letter, at most 63.',
    );
    expect(message("k8s/a", { team: "a b" })).toContain(
      '"a b" is no label\'s value on Kubernetes. Allowed: letters',
    );
    expect(message("aws", { "aws:x": "a" })).toContain("not starting with aws:");
    expect(message("aws", { "123": "a" })).toContain("would be read as something else than this text");
  });

  it("made of anything are taken exactly where SkyPilot and the cloud take them, and arrive", () => {
    const samples = fc.sample(fc.tuple(written, written), 300).map(([name, value]) => ({ name, value }));
    const cases = samples.map(({ name, value }) => ({ kind: "label", name, value }));
    const answers = asked(cases).answers as readonly {
      readonly names: readonly unknown[];
      readonly taken: Readonly<Record<string, boolean>>;
    }[];
    let count = 0;
    for (const [index, { name, value }] of samples.entries()) {
      for (const [cloud, infra] of Object.entries(CLOUDS)) {
        if (!label(infra, name, value)) continue;
        count += 1;
        expect({ name, value, cloud, taken: answers[index]?.taken[cloud] }).toMatchObject({ taken: true });
        expect(answers[index]?.names.every((read) => read === name)).toBe(true);
      }
    }
    expect(count).toBeGreaterThan(40);
  });
});

describe("a login", { timeout: TIMEOUT }, () => {
  const registry = (username: string, server: string) =>
    isTaken(
      { infra: "aws", image: "docker:a/b:1", registry: { username, server } },
      { registryPassword: "secret" },
    );

  it("has the user and the host that were written", () => {
    const everyday = [
      ["$oauthtoken", "nvcr.io"],
      ["CORP\\jane doe", "registry.example.com:5000"],
      ["robot$team+ci", "harbor.example.com/team"],
      ["jane%40example.com", "[2001:db8::1]:5000"],
      ["it's me", "us-docker.pkg.dev/project"],
    ] as const;
    for (const [username, server] of everyday)
      expect([username, registry(username, server)]).toEqual([username, true]);
    const made = fc.sample(written, 400).filter((username) => registry(username, "nvcr.io"));
    expect(made.length).toBeGreaterThan(100);
    const all = [...everyday, ...made.map((username) => [username, "nvcr.io"] as const)];
    const { answers } = asked(all.map(([username, server]) => ({ kind: "login", username, server })));
    expect(answers).toEqual(all.map(([username, server]) => ["login", "--username", username, server]));
  });
});

describe("a bucket with the model", { timeout: TIMEOUT }, () => {
  it("of any store that SkyPilot copies from is taken, and SkyPilot reads its address as it was written", () => {
    const buckets = [
      "s3://weights/qwen/Qwen3-8B",
      "s3://my.bucket-1/rev=2,fp8/50%",
      "gs://weights/a+b@1",
      "r2://weights/a",
      "nebius://weights",
      "cw://weights/a",
      "vastdata://weights/a",
      "cos://us-east/weights/a",
      "oci://weights@us-ashburn-1/a",
      "oci://weights/a",
      "https://account1.blob.core.windows.net/weights/a",
    ];
    const tasks = buckets.map((model) => {
      const config = parseConfig({
        model,
        pools: [{ role: "aggregated", tensorParallel: 8 }],
        sky: { infra: "aws" },
      });
      const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
      if (cluster === undefined) throw new Error("no cluster");
      return recipeText({ cluster, config }, join(packageRoot(), "runtime"));
    });
    const { answers } = asked(tasks.map((task) => ({ kind: "bucket", task })));
    expect(answers).toEqual(buckets.map((model) => [[model, "COPY"]]));
  });

  it.each([
    "s3://",
    "s3://a b/c",
    "s3://a/b;id",
    "s3://a/$(id)",
    "https://example.com/weights",
    "ftp://host/model",
  ])("is refused where it is none, or a shell would take it apart: %s", (model) =>
    expect(isTaken({ infra: "aws" }, { model })).toBe(false),
  );
});

describe("what SkyPilot leaves out without a word", { timeout: TIMEOUT }, () => {
  it("is what no template of the cloud's has", () => {
    const { heeding, slurmReads } = asked([]);
    const theirs = Object.entries(heeding).map(([setting, clouds]) => {
      // Node pools by ssh have that of Kubernetes.
      const all = clouds.includes("kubernetes") ? [...clouds, "ssh"] : clouds;
      return [setting, all.filter((cloud) => cloud !== "slurm" || slurmReads).toSorted()];
    });
    expect(APPLIED_ON).toEqual(Object.fromEntries(theirs));
  });
});
