/**
 * `npm run metrics -- --stack S`: what a Prometheus and a Grafana of one's own need for a deployment, or whether a Prometheus
 * has the figures that the dashboards and the alerts ask for.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import type { DeploymentConfig } from "../plan/config";
import { localAddresses } from "../plan/localAddresses";
import { firstPort } from "../plan/ports";
import type { DeploymentPlan } from "../plan/types";
import { EXIT, exitCodes, fromCaller, runTool } from "./commandLine";
import { type Answer, ask, questionsOf } from "./metrics/ask";
import { type Addresses, metricsFiles, missingAddresses, nodeKey } from "./metrics/files";
import { planStack } from "./plannedStack";
import { UsageProblem } from "./pulumi/problem";
import { packageRoot } from "./toolchain/index";

const usage = `Usage: npm run metrics -- --stack NAME [options]

Writes what a Prometheus and a Grafana of your own need for a deployment: targets, alerts, dashboards, and what to do with them.

Options
  --stack, -s NAME      the stack
  --cwd, -C DIR         directory of Pulumi.yaml (default: this repository)
  --out, -o DIR         where to write (default: metrics-NAME)
  --address NODE=HOST   address of a node as your Prometheus reaches it, once for each node: main/0=10.0.0.5.
                        Not needed on target local.
  --check               write nothing; ask a Prometheus everything that the dashboards and the alerts ask
  --prometheus URL      the one to ask (default: the deployment's own, on target local)
  --json                with --check, print JSON: {answered,empty,failed,questions:[{asker,expr,values,error}]}

${exitCodes({ ok: "written, or all queries have an answer", failed: "it failed", notAsWanted: "some queries have no answer (--check)" })}`;

function readArguments() {
  const { values } = parseArgs({
    options: {
      stack: { type: "string", short: "s" },
      cwd: { type: "string", short: "C" },
      out: { type: "string", short: "o" },
      address: { type: "string", multiple: true, default: [] },
      check: { type: "boolean", default: false },
      prometheus: { type: "string" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  return values;
}

async function main(): Promise<void> {
  const args = readArguments();
  if (args.help) {
    console.log(usage);
    return;
  }
  const { stack } = args;
  if (stack === undefined) throw new UsageProblem(`--stack is missing: which stack?\n\n${usage}`);
  const { config, plan } = planStack(stack, args.cwd === undefined ? packageRoot() : fromCaller(args.cwd));
  if (args.check) return check(config, plan, args.prometheus, args.json);
  const addresses = addressesOf(config, plan, args.address);
  const missing = missingAddresses(plan, addresses);
  if (missing.length > 0) {
    const example = missing.map((node) => `--address ${node}=HOST`).join(" ");
    throw new UsageProblem(
      `SkyPilot chooses the addresses of the nodes. Give them as your Prometheus reaches them: ${example}`,
    );
  }
  const out = fromCaller(args.out ?? `metrics-${stack}`);
  const { files, notes } = metricsFiles(stack, config, plan, addresses);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(out, path)), { recursive: true });
    writeFileSync(join(out, path), text);
    console.log(join(out, path));
  }
  for (const note of notes) console.log(`\nNote: ${note}`);
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

async function check(
  config: DeploymentConfig,
  plan: DeploymentPlan,
  given: string | undefined,
  json: boolean,
): Promise<void> {
  const prometheus = (given ?? ownPrometheus(config, plan)).replace(/\/$/, "");
  const answers: Answer[] = [];
  for (const question of questionsOf(config, plan)) answers.push(await ask(prometheus, question));
  const failed = answers.filter(({ error }) => error !== undefined);
  const empty = answers.filter(({ error, values }) => error === undefined && values.length === 0);
  const answered = answers.length - failed.length - empty.length;
  if (json) {
    const questions = answers.map(({ asker, expr, values, error }) => ({ asker, expr, values, error }));
    console.log(JSON.stringify({ answered, empty: empty.length, failed: failed.length, questions }, null, 2));
  } else {
    for (const answer of answers) console.log(line(answer));
    console.log(`\n${answered} of ${answers.length} queries have an answer.`);
  }
  process.exitCode = answered === answers.length ? EXIT.ok : EXIT.notAsWanted;
}

function ownPrometheus(config: DeploymentConfig, plan: DeploymentPlan): string {
  const address = localAddresses(plan).get(plan.endpoint.cluster)?.[plan.endpoint.rank];
  if (config.target === "local" && config.metrics.prometheus && address !== undefined) {
    return `http://${address}:${firstPort(config, "prometheus")}`;
  }
  throw new UsageProblem(
    "--prometheus is missing: the URL of a Prometheus that scrapes this deployment. That of a node on SkyPilot is reached through ssh: " +
      `ssh -L ${firstPort(config, "prometheus")}:127.0.0.1:${firstPort(config, "prometheus")} CLUSTER`,
  );
}

const LONGEST_SHOWN = 4;

function line({ asker, values, error }: Answer): string {
  const shown = values
    .slice(0, LONGEST_SHOWN)
    .map((value) => (Number.isNaN(value) ? "nothing yet" : String(Number(value.toPrecision(3)))));
  const more = values.length > LONGEST_SHOWN ? ` and ${values.length - LONGEST_SHOWN} more` : "";
  return `${asker.padEnd(56)} ${error ?? (values.length === 0 ? "NO ANSWER" : `${shown.join(", ")}${more}`)}`;
}

runTool(main, usage);
