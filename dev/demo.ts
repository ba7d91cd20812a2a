/**
 * `npm run demo`: a Dynamo cluster on this machine, from a fresh clone to an answer.
 * `npm run demo -- --down` removes it.
 */

import { answerInWords, askModel, type ModelAnswer } from "../cli/chat";
import { json, verb } from "../cli/command";
import { exitCodes, runTool } from "../cli/commandLine";
import { deploymentOf, type RunningDeployment } from "../cli/deployment/running";
import { type Proof, proveRouting, type Served } from "../cli/proof";
import { type OpenStack, openStack } from "../cli/pulumi/openStack";
import { tasks } from "../config/task";
import { isSimulated } from "../engines";
import { cacheDir, ensureToolchain, packageRoot, stateDir } from "../toolchain/index";
import { Screen } from "./demo/screen";

const question = "In one sentence: what does an inference router do?";

interface Arguments {
  readonly down: boolean;
  readonly stack: string;
  readonly json: boolean;
}

async function up(stack: OpenStack, screen: Screen): Promise<RunningDeployment> {
  const result = await stack.up();
  const changed = Object.entries(result.changes).some(([op, count]) => op !== "same" && count > 0);
  screen.say(changed ? `The cluster is up (${result.seconds.toFixed(0)} s).` : "The cluster was up already.");
  return deploymentOf(await stack.outputs({ showSecrets: true }));
}

async function ask(deployment: RunningDeployment, screen: Screen): Promise<ModelAnswer> {
  screen.say(`> ${question}`);
  const answer = await askModel(deployment, question, (text) => screen.stream(text));
  if (answer.tokens !== undefined) screen.endStream();
  screen.say(`${answerInWords(answer)}.`);
  if (isSimulated(deployment.engine))
    screen.say(
      "The words are random: a simulated engine keeps an engine's time and cache, but holds no model.",
    );
  return answer;
}

function servedBy(served: Served): string {
  const prefill = served.prefillProgram ?? `worker ${served.prefillWorker}`;
  const decode = served.decodeProgram ?? `worker ${served.decodeWorker}`;
  const who = prefill === decode ? prefill : `prefill by ${prefill}, decode by ${decode}`;
  const blocks = served.cachedBlocks === undefined ? "" : `${served.cachedBlocks} blocks cached, `;
  return `${who}: ${blocks}${(served.hitRate * 100).toFixed(0)} % of its ${served.promptTokens} prompt tokens`;
}

function showProof(proof: Proof, screen: Screen): void {
  screen.say("Two requests that begin with the same long text:");
  screen.say(`  1  ${servedBy(proof.first)}`);
  screen.say(`  2  ${servedBy(proof.second)}`);
  if (!proof.cacheAware)
    throw new Error("The second request did not go to the worker that holds the cache of the first.");
  screen.say("The second found what the first had left in the cache, and had that part for free.");
}

function showEnd(deployment: RunningDeployment, stack: string, screen: Screen): void {
  const option = stack === "dev" ? "" : ` --stack ${stack}`;
  screen.heading("It is yours");
  screen.say(`Endpoint  ${deployment.endpoint}/v1   (OpenAI-compatible, model ${deployment.model})`);
  screen.say(`Ask it    bin/dynamo-sky ask --stack ${stack} "What is a KV cache?"`);
  screen.say(`Look      bin/dynamo-sky status --stack ${stack}`);
  screen.say(`Change    edit Pulumi.${stack}.yaml, then npm run stack -- preview --stack ${stack}, then up`);
  screen.say(`Stop      npm run demo -- --down${option}`);
}

async function down(stack: OpenStack, screen: Screen): Promise<void> {
  screen.heading("Removing the cluster");
  await stack.destroy();
  await stack.remove();
  const passphrase = stack.backend.env["PULUMI_CONFIG_PASSPHRASE_FILE"];
  const kept =
    passphrase === undefined ? "" : ` Kept: ${passphrase}, the passphrase of this machine's stacks.`;
  screen.say(`Nothing of it is running, and its state is gone.${kept}`);
  screen.say(`Downloads stay in ${cacheDir()} for the next time; delete the directory to be rid of them.`);
}

async function run(args: Arguments): Promise<void> {
  const screen = new Screen(args.json ? process.stderr : process.stdout);
  screen.heading("Tools");
  const say = (line: string) => screen.say(line);
  await ensureToolchain({ need: ["pulumi", "plugins", "python", "etcd", "nats-server"], onProgress: say });
  screen.say(`All there, in ${cacheDir()}; state is kept in ${stateDir()}.`);
  const stack = await openStack({ projectDir: packageRoot(), stack: args.stack, onProgress: say });
  // Programs expect to run in their project's directory, as under the official CLI.
  process.chdir(packageRoot());
  const print = (result: object) => {
    if (args.json) console.log(JSON.stringify({ stack: args.stack, ...result }, undefined, 2));
  };
  if (args.down) {
    await down(stack, screen);
    print({ removed: true });
    return;
  }
  screen.heading(`pulumi up, stack ${args.stack}`);
  const deployment = await up(stack, screen);
  const isText = tasks[deployment.task].generates;
  screen.heading(isText ? "A streamed answer" : "An answer");
  const answer = await ask(deployment, screen);
  const routing = isText ? await proveRouting(deployment) : undefined;
  if (routing !== undefined) {
    screen.heading("KV-aware routing");
    showProof(routing, screen);
  }
  showEnd(deployment, args.stack, screen);
  const { endpoint, model } = deployment;
  print({ endpoint, model, answer, ...(routing && { routing }) });
}

runTool(
  verb(
    "npm run demo --",
    "Brings up a Dynamo cluster on this machine through the Pulumi engine (no GPU needed), asks it something, and shows that its router " +
      "sends a prompt to the worker that has seen its beginning. Run again on a running cluster it takes seconds.",
    exitCodes({ ok: "it worked", failed: "it failed" }),
  )
    .option("--down", "stop the cluster and remove everything but the downloads", false)
    .option("-s, --stack <name>", "another stack on this machine", "dev")
    .addOption(json("{stack,endpoint,model,answer,routing}; what is done goes to standard error"))
    .action(run),
);
