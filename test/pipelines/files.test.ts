/** The pipeline files: checked with their own linters and schemas, and for this project's guarantees. */

import { execFileSync, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { command as operate } from "../../cli/commands/operate";
import { VERBS } from "../../cli/verbs";
import { locatePipelineLinters } from "../../dev/pipelineLinters";
import { packageRoot } from "../../toolchain/index";

const root = packageRoot();
const scratch = mkdtempSync(join(tmpdir(), "pipelines-"));
const { actionlint, checkJsonschema = "check-jsonschema is not installed" } = locatePipelineLinters();

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

function filesBelow(directory: string): string[] {
  return readdirSync(join(root, directory), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.ya?ml$/.test(file))
    .map((file) => join(directory, file));
}
const text = (file: string) => readFileSync(join(root, file), "utf8");
const github = [...filesBelow("pipelines/github"), ...filesBelow(".github")];
const workflows = github.filter((file) => file.includes("/workflows/"));

/** A repository with copies of the files, as made by a user. */
function copied(): string {
  const directory = join(scratch, "repository");
  cpSync(join(root, "pipelines", "github"), join(directory, ".github"), { recursive: true });
  cpSync(join(root, ".github", "workflows", "ci.yml"), join(directory, ".github", "workflows", "ci.yml"));
  execFileSync("git", ["init", "--quiet", directory]);
  return directory;
}

describe("GitHub", () => {
  test.skipIf(actionlint === undefined)("actionlint finds nothing wrong", () => {
    const cwd = copied();
    const { stdout, stderr, status } = spawnSync(actionlint ?? "", ["-no-color"], { cwd, encoding: "utf8" });
    expect(`${stdout}${stderr}`).toBe("");
    expect(status).toBe(0);
    const broken = join(cwd, ".github", "workflows", "ci.yml");
    writeFileSync(broken, readFileSync(broken, "utf8").replace("ubuntu-24.04", "ubuntu-0.04"));
    expect(spawnSync(actionlint ?? "", { cwd, encoding: "utf8" }).stdout).toContain("ubuntu-0.04");
  });

  test.each(github)("%s names every action by its commit, with the version", (file) => {
    const uses = [...text(file).matchAll(/uses: (.+)$/gm)].map(([, action = ""]) => action);
    const wrong = uses.filter(
      (action) => !/^(\.\/\S+|[\w.-]+\/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/.test(action),
    );
    expect(wrong).toEqual([]);
    expect(uses.length).toBeGreaterThan(0);
  });

  test("the same action has the same commit everywhere", () => {
    const pins = github.flatMap((file) => [...text(file).matchAll(/uses: ([\w.-]+\/[\w.-]+)@(.+)$/gm)]);
    const distinct = new Set(pins.map(([, action, pin]) => `${action}@${pin}`));
    expect(distinct.size).toBe(new Set(pins.map(([, action]) => action)).size);
  });

  test.each(workflows)("%s asks for what it needs, and no more", (file) => {
    const { permissions, concurrency, jobs } = parse(text(file));
    const atMost = { contents: "read", "pull-requests": "write", issues: "write", "id-token": "write" };
    expect(concurrency).toBeDefined();
    expect([{}, { contents: "read" }]).toContainEqual(permissions);
    for (const job of Object.values<Record<string, unknown>>(jobs)) {
      expect(atMost).toMatchObject(job["permissions"] ?? {});
      expect(job["timeout-minutes"]).toBeTypeOf("number");
    }
  });

  test("a deployment is never cancelled, and no text of a pull request gets into a shell", () => {
    const deploy = parse(text("pipelines/github/workflows/dynamo-sky-deploy.yml"));
    expect(deploy.concurrency["cancel-in-progress"]).toBe(false);
    for (const file of workflows) {
      const steps = Object.values<{ steps: { run?: string }[] }>(parse(text(file)).jobs).flatMap(
        (job) => job.steps,
      );
      expect(steps.filter(({ run }) => run?.includes("${" + "{"))).toEqual([]);
    }
  });
});

/** Output of check-jsonschema; empty if there are no errors. */
function problems(schema: readonly string[], file: string): string {
  const { status, stdout, stderr, error } = spawnSync(checkJsonschema, [...schema, file], {
    encoding: "utf8",
  });
  return status === 0 ? "" : `${stdout}${stderr}${error?.message ?? ""}` || "it failed without a word";
}

describe("GitLab", () => {
  const schema = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"];

  test.each(filesBelow("pipelines/gitlab"))("%s fits GitLab's schema", (file) => {
    expect(problems(schema, join(root, file))).toBe("");
  });

  test("a file that does not fit is found", () => {
    const broken = join(scratch, "broken.gitlab-ci.yml");
    writeFileSync(broken, "deploy: { script: [true], resource_group: [a] }\n");
    expect(problems(schema, broken)).toContain("resource_group");
  });
});

describe("the operator", () => {
  const objects = filesBelow("pipelines/operator").flatMap((file) =>
    parseAllDocuments(text(file)).map((document) => ({ file, object: document.toJS() })),
  );
  const own = objects.filter(({ object }) => object.apiVersion === "pulumi.com/v1");
  const schemaOf = (kind: string) => [
    "--schemafile",
    join(root, "test", "pipelines", "schemas", `${kind.toLowerCase()}.json`),
  ];
  const written = (object: unknown): string => {
    const file = join(scratch, "object.json");
    writeFileSync(file, JSON.stringify(object));
    return file;
  };

  test.each(own)("$object.kind $object.metadata.name fits its definition", ({ object }) => {
    expect(problems(schemaOf(object.kind), written(object))).toBe("");
  });

  test("there are stacks and a program, and a field that does not exist is found", () => {
    expect(new Set(own.map(({ object }) => object.kind))).toEqual(new Set(["Stack", "Program"]));
    const stack = own.find(({ object }) => object.kind === "Stack")?.object;
    const wrong = { ...stack, spec: { ...stack.spec, destroyOnFinalise: true } };
    expect(problems(schemaOf("Stack"), written(wrong))).toContain("destroyOnFinalise");
  });

  test("no secret stands in an object", () => {
    for (const { object } of own) {
      const literals = Object.values<{ type: string }>(object.spec?.envRefs ?? {});
      expect(literals.filter(({ type }) => type !== "Secret")).toEqual([]);
    }
  });
});

describe("the operator's image", () => {
  const lines = text("pipelines/Dockerfile").split("\n");
  const having = (instruction: string) =>
    lines
      .filter((line) => line.startsWith(`${instruction} `))
      .map((line) => line.slice(instruction.length + 1));

  test("has the Node of package.json", () => {
    const { devDependencies } = JSON.parse(text("package.json"));
    expect(having("FROM")).toEqual([`node:${devDependencies.node}-bookworm`]);
  });

  test("copies what is there, and starts what is there", () => {
    const copied = having("COPY").flatMap((line) =>
      line
        .split(" ")
        .filter((word) => !word.startsWith("--"))
        .slice(0, -1),
    );
    expect(copied.filter((file) => !existsSync(join(root, file)))).toEqual([]);
    expect(copied).toContain("package-lock.json");
    const [program = "", verb = ""] = JSON.parse(having("ENTRYPOINT")[0] ?? "[]");
    expect(existsSync(join(root, program))).toBe(true);
    expect(VERBS).toHaveProperty(verb);
  });

  test("leaves out what git does, and its history", () => {
    const left = text(".dockerignore").split("\n");
    expect(left).toEqual(expect.arrayContaining([".git", "node_modules", "dist", "*.env"]));
  });
});

describe("the operator in Kubernetes", () => {
  const file = join(root, "pipelines", "kubernetes", "operator.yaml");
  /** Output of kubernetes-validate; empty if there are no errors. */
  const refused = (path: string): string => {
    const program = join(checkJsonschema, "..", "kubernetes-validate");
    const { status, stdout, stderr, error } = spawnSync(program, ["--strict", path], { encoding: "utf8" });
    return status === 0 ? "" : `${stdout}${stderr}${error?.message ?? ""}` || "it failed without a word";
  };
  const objects = parseAllDocuments(text("pipelines/kubernetes/operator.yaml")).map((one) => one.toJS());
  const { spec } = objects.find(({ kind }) => kind === "Deployment");
  const [container] = spec.template.spec.containers;

  test("fits Kubernetes' schema, and a field that does not exist is found", () => {
    expect(refused(file)).toBe("");
    const wrong = join(scratch, "operator.yaml");
    writeFileSync(
      wrong,
      readFileSync(file, "utf8").replace("automountServiceAccountToken", "automountToken"),
    );
    expect(refused(wrong)).toContain("automountToken");
  });

  test("gives the command options and variables that there are", () => {
    const known = operate.options.map(({ long }) => long ?? "");
    const flags = (container.args as string[]).filter((word) => word.startsWith("--"));
    expect(flags.filter((flag) => !known.includes(flag))).toEqual([]);
    expect(existsSync(join(root, "observability/policy/PulumiPolicy.yaml"))).toBe(true);
    const variables = (container.env as { name: string }[]).map(({ name }) => name);
    const sources = ["lib/dirs.ts", "cli/pulumi/backend.ts", "docs/pipelines.md"].map(text).join("\n");
    expect(variables.filter((name) => !sources.includes(name))).toEqual([]);
  });

  test("has one operator at a time, ended gently, as the image's user, with secrets from a Secret", () => {
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: "Recreate" } });
    const [, minutes] =
      /^TimeoutStopSec=(\d+)min$/m.exec(text("pipelines/systemd/dynamo-sky-operate@.service")) ?? [];
    const { terminationGracePeriodSeconds: grace, securityContext } = spec.template.spec;
    expect(grace).toBe(60 * Number(minutes));
    expect(text("pipelines/Dockerfile")).toContain(
      `USER ${securityContext.runAsUser}:${securityContext.runAsGroup}`,
    );
    const plain = (container.env as { name: string; value?: string }[]).filter(
      ({ value }) => value !== undefined,
    );
    expect(plain.map(({ name }) => name)).toEqual(["PULUMI_BACKEND_URL", "DYNAMO_SKY_STATE"]);
  });
});

describe("every file", () => {
  const all = [
    ...github,
    ...["gitlab", "operator", "kubernetes"].flatMap((directory) => filesBelow(`pipelines/${directory}`)),
    "pipelines/Dockerfile",
  ];

  test.each(all)("%s only calls commands of this project that exist", (file) => {
    const { scripts } = JSON.parse(text("package.json"));
    const named = [...text(file).matchAll(/npm run (?:-s )?([a-z][\w:-]*)/g)].map(([, name = ""]) => name);
    expect(named.filter((name) => !(name in scripts))).toEqual([]);
    const verbs = [...text(file).matchAll(/bin\/dynamo-sky ([a-z]+)/g)].map(([, name = ""]) => name);
    expect(verbs.filter((name) => !(name in VERBS))).toEqual([]);
  });
});
