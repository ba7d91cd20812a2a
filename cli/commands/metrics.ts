/**
 * `dynamo-sky metrics`: files for your own Prometheus and Grafana, or a check that a Prometheus has all
 * metrics of the dashboards and alerts.
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { DeploymentConfig } from "../../config/deployment";
import { localAddresses } from "../../plan/localAddresses";
import { nodeKey, scrapeTargets } from "../../plan/metrics/targets";
import type { DeploymentPlan } from "../../plan/types";
import { CWD, collect, json as jsonOption, NEEDED_STACK, timeout as timeoutOption, verb } from "../command";
import { EXIT, exitCodes, fromCaller, withTimeout } from "../commandLine";
import { asJson, asText, checkMetrics, isComplete } from "../metrics/check";
import { type Addresses, metricsFiles, missingAddresses, reachable } from "../metrics/files";
import { type WatchedStack, withPrometheus } from "../metrics/prometheus";
import { planStack } from "../plannedStack";
import { UsageProblem } from "../pulumi/problem";

export const command = verb(
  "metrics",
  `Writes what a Prometheus and a Grafana of your own need for a deployment: targets, alerts, dashboards, and what to do with them.`,
  exitCodes({
    ok: "written, or all targets are up and all queries have an answer",
    failed: "it failed",
    notAsWanted: "some are not, or have none (--check)",
  }),
)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .option("-o, --out <dir>", "where to write (default: metrics-NAME)", fromCaller)
  .option(
    "--address <node=host>",
    "address of a node as your Prometheus reaches it, once for each node: main/0=10.0.0.5. Not needed on target local",
    collect,
  )
  .option(
    "--check",
    "write nothing; ask a Prometheus for every target, and all that dashboards and alerts ask",
    false,
  )
  .option("--prometheus <url>", "the one to ask (default: the deployment's own; on SkyPilot through its ssh)")
  .addOption(timeoutOption(300, "--check: give up after this many seconds"))
  .addOption(
    jsonOption(
      "{files,notes}; with --check {targets:[{job,cluster,node,program,problem}],answered,empty,failed,questions:[{source,expr,values,error}],absent:[{reason,series}]}",
    ),
  )
  .action(async ({ stack, cwd: directory, ...options }) => {
    const watched = { stack, directory, ...planStack(stack, directory) };
    if (options.check) await check(watched, options);
    else write(watched, options);
  });

interface Options {
  readonly out?: string | undefined;
  readonly address?: readonly string[] | undefined;
  readonly prometheus?: string | undefined;
  readonly timeout: number;
  readonly json: boolean;
}

function write({ stack, config, plan }: WatchedStack, args: Options): void {
  const addresses = addressesOf(config, plan, args.address ?? []);
  const missing = missingAddresses(plan, addresses);
  if (missing.length > 0) {
    const example = missing.map((node) => `--address ${node}=HOST`).join(" ");
    throw new UsageProblem(
      `SkyPilot chooses the addresses of the nodes. Give them as your Prometheus reaches them: ${example}`,
    );
  }
  const out = args.out ?? fromCaller(`metrics-${stack}`);
  const { files, notes } = metricsFiles(stack, config, plan, addresses);
  const written = Object.entries(files).map(([path, text]) => {
    const file = join(out, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  });
  if (args.json) console.log(JSON.stringify({ files: written, notes }, undefined, 2));
  else console.log([...written, ...notes.map((note) => `\nNote: ${note}`)].join("\n"));
}

function addressesOf(config: DeploymentConfig, plan: DeploymentPlan, given: readonly string[]): Addresses {
  if (config.target === "local") {
    return new Map(
      [...localAddresses(plan)].flatMap(([cluster, nodes]) =>
        nodes.map((address, rank) => [nodeKey(cluster, rank), address] as const),
      ),
    );
  }
  const known = new Set(
    plan.clusters.flatMap(({ name, nodes }) => nodes.map(({ rank }) => nodeKey(name, rank))),
  );
  return new Map(
    given.map((entry) => {
      const [node = "", host = ""] = entry.split("=");
      if (known.has(node) && host !== "") return [node, host] as const;
      throw new UsageProblem(`--address ${entry} is not NODE=HOST. Nodes: ${[...known].join(", ")}.`);
    }),
  );
}

async function check(watched: WatchedStack, { prometheus, timeout, json }: Options): Promise<void> {
  const targets = watched.plan.clusters.flatMap(scrapeTargets);
  const found = await withTimeout(timeout, (signal) =>
    prometheus === undefined
      ? withPrometheus(watched, signal, (url) => checkMetrics(url, { ...watched, targets }, signal))
      : checkMetrics(prometheus.replace(/\/$/, ""), { ...watched, targets: reachable(targets) }, signal),
  );
  console.log(json ? JSON.stringify(asJson(found), undefined, 2) : asText(found).join("\n"));
  process.exitCode = isComplete(found) ? EXIT.ok : EXIT.notAsWanted;
}
