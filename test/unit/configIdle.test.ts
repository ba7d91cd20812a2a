/** Settings that nothing would read, or that something else on a node needs otherwise. */
import { describe, expect, it } from "vitest";
import type { ConfigInput } from "../../config/schema";
import { plannedProgram, problemsOf, SHAPES } from "./planShapes";

const told = (input: Partial<ConfigInput>): string[] => problemsOf({ ...SHAPES.single, ...input });

describe("a setting without effect", () => {
  it.each<[Partial<ConfigInput>, string]>([
    [
      { health: { canary: false, canarySeconds: 30 } },
      "health.canarySeconds: 30 has no effect while health.canary is false: no engine is asked. Remove it, or set that to true.",
    ],
    [
      { health: { failures: 0, everySeconds: 20 } },
      "health.everySeconds: 20 has no effect while health.failures is 0: no worker is asked. Remove it, or raise that.",
    ],
    [{ health: { failures: 0, timeoutSeconds: 9 } }, "health.timeoutSeconds: 9 has no effect"],
    [{ metrics: { exporters: true, retentionDays: 3 } }, "metrics.retentionDays: 3 has no effect"],
    [
      { metrics: { retentionGB: 3 } },
      "metrics.retentionGB: 3 has no effect while metrics.prometheus is false",
    ],
    [{ access: { gateway: false, requestsPerSecond: 5 } }, "access.requestsPerSecond: 5 has no effect"],
    [{ access: { gateway: false, burst: 5 } }, "access.burst: 5 has no effect while access.gateway is false"],
    [{ access: { allowPlainHttp: true } }, "access.allowPlainHttp: true has no effect"],
  ])("is refused: %j", (input, message) => {
    expect(told(input)).toEqual([expect.stringContaining(message)]);
  });

  it.each<Partial<ConfigInput>>([
    { health: { canary: false } },
    { health: { canary: false, canarySeconds: 60 } },
    { health: { failures: 0, everySeconds: 10, canarySeconds: 30 } },
    { health: { canarySeconds: 30, everySeconds: 20, timeoutSeconds: 9 } },
    { metrics: { prometheus: true, retentionDays: 3, retentionGB: 3 } },
    // Alerts and intervals are handed to a Prometheus of one's own, too.
    { metrics: { exporters: true, scrapeIntervalSeconds: 30 } },
    { access: { requestsPerSecond: 5, burst: 5 } },
    { access: { gateway: false } },
  ])("is not one at its default, or where it is read: %j", (input) => {
    expect(told(input)).toEqual([]);
  });
});

describe("sky.envs", () => {
  it.each(["MODEL", "PATH", "HOME", "USER", "SHELL", "PYTHONHOME", "BASH_ENV"])("cannot set %s", (name) => {
    expect(told({ sky: { envs: { [name]: "/x" } } })).toEqual([
      expect.stringContaining(`sky.envs.${name}: cannot be set for a whole node: the task `),
    ]);
  });

  it("can set what programs read, and an engine alone may have a PATH of its own", () => {
    const envs = {
      LD_LIBRARY_PATH: "/opt/lib",
      PYTHONPATH: "/opt/python",
      TMPDIR: "/scratch",
      LANG: "C.UTF-8",
    };
    expect(told({ sky: { envs }, engineEnv: { PATH: "/opt/bin:/usr/bin" } })).toEqual([]);
  });
});

describe("a name for clients", () => {
  it.each([
    ["/models/my model", "my model"],
    ["/models/a,b/", "a,b"],
    ["s3://bucket/llama,v2", "llama,v2"],
  ])("is asked for where the path has none: %s", (model, name) => {
    expect(told({ model })).toEqual([
      `servedModelName: is required here: "${name}", the last part of dynamo-sky:model, is no name for clients, which has no spaces and commas. Set it.`,
    ]);
    const named = { ...SHAPES.single, model, servedModelName: "mine" };
    expect(plannedProgram(named, "aggregated-0").command).toContain("mine");
  });

  it("has no comma either: Dynamo would take it for two names", () => {
    expect(told({ servedModelName: "a,b" })).toEqual([expect.stringContaining("without spaces, commas")]);
  });
});

describe("an infra", () => {
  it.each([
    ...["aws/*/us-east-1a", "*/*/us-east-1a", "gcp/us-central1/*", "aws/us-east-1/us-east-1a", "AWS/*"],
    ...["slurm/*/h100", "k8s/arn:aws:eks:us-east-1:1:cluster/mine", "ssh/pool", "kubernetes/*"],
  ])("is taken: %s", (infra) => {
    expect(told({ sky: { infra } })).toEqual([]);
  });

  it.each(["aws/us-east-1/us-east-1a/x", "aws//us-east-1a", "aws/no", "gcp/1:20", "k8s/*/x"])(
    "is refused where SkyPilot would read something else: %s",
    (infra) => {
      expect(told({ sky: { infra } })).toEqual([expect.stringMatching(/^sky\.infra: .* is not an infra/)]);
    },
  );
});

describe("keys of sky.config that SkyPilot does not take", () => {
  it("list once what is allowed, or say which was meant", () => {
    const problems = told({
      sky: {
        infra: "aws",
        config: { jobs: {}, api_server: {}, db: "x", pod_config: {}, docker: { runoptions: [] } },
      },
    });
    expect(problems).toHaveLength(5);
    expect(problems.filter((problem) => problem.includes("Allowed: active_workspace, "))).toEqual([
      expect.stringMatching(/^sky\.config\.api_server: /),
    ]);
    expect(
      problems.filter((problem) => problem.endsWith("SkyPilot does not take this from a task either.")),
    ).toHaveLength(2);
    expect(problems.join("\n")).toContain(
      'sky.config.pod_config: SkyPilot does not take this from a task. Did you mean "kubernetes.pod_config"?',
    );
    expect(problems.join("\n")).toContain('Did you mean "docker.run_options"?');
  });
});
