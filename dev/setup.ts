/**
 * `npm run setup [-- --model NAME]`: finds or installs everything that a local cluster needs, and prints the
 * paths.
 */
import { json, verb } from "../cli/command";
import { exitCodes, runTool } from "../cli/commandLine";
import { UsageProblem } from "../cli/pulumi/problem";
import { VERSIONS } from "../config/versions";
import { cacheDir, ensureToolchain } from "../toolchain/index";
import { cloudsOf, ensureOwnSkyPilot } from "../toolchain/skypilot";

interface Given {
  readonly model: string;
  readonly json: boolean;
  readonly operator?: string | undefined;
}

async function setUp(values: Given): Promise<void> {
  if (values.operator !== undefined) return setUpOperator(values.operator.split(","));
  const tools = await ensureToolchain({
    need: ["pulumi", "plugins", "python", "etcd", "nats-server", "model"],
    model: values.model,
  });
  const { pulumi, python, etcd, natsServer } = tools;
  if (values.json) {
    const { plugins = null, hfHome: tokenizers } = tools;
    const found = { pulumi, plugins, dynamo: python, etcd: etcd ?? null, natsServer: natsServer ?? null };
    console.log(JSON.stringify({ ...found, tokenizers, cache: cacheDir() }, undefined, 2));
    return;
  }
  const describe = (tool: typeof pulumi) =>
    tool ? `${tool.version}, ${tool.way}: ${tool.path}` : "not available here";
  console.log(`Pulumi       ${describe(pulumi)}`);
  console.log(
    `plugins      ${tools.plugins?.kind}${tools.plugins?.pathDirectory ? `: ${tools.plugins.pathDirectory}` : ""}`,
  );
  console.log(`Dynamo       ${describe(python)}`);
  console.log(`etcd         ${describe(etcd)}`);
  console.log(`nats-server  ${describe(natsServer)}`);
  console.log(`tokenizers   ${tools.hfHome}`);
  console.log(`Everything is kept in ${cacheDir()}; removing that directory removes it all.`);
}

/** What `dynamo-sky operate` needs where the stacks run on SkyPilot, as in an image: nothing of Dynamo. */
async function setUpOperator(infra: readonly string[]): Promise<void> {
  const { pulumi } = await ensureToolchain({ need: ["pulumi", "plugins"] });
  const clouds = cloudsOf(infra);
  if (clouds.length === 0)
    throw new UsageProblem(`--operator ${infra.join(",")} names no cloud. Allowed: such as aws,k8s.`);
  const sky = await ensureOwnSkyPilot(clouds, (line) => console.error(line));
  console.log(`Pulumi       ${pulumi?.version}, ${pulumi?.way}: ${pulumi?.path}`);
  console.log(`SkyPilot     ${VERSIONS.skypilot}: ${sky}`);
}

runTool(
  verb(
    "npm run setup --",
    "Finds or installs everything that a cluster on this machine needs, and says what is where.",
    exitCodes(
      { ok: "all there (etcd and NATS may be missing)", failed: "something could not be had" },
      "the command is wrong",
    ),
  )
    .option("--model <name>", "model whose tokenizer the cache must hold", "Qwen/Qwen3-8B")
    .option(
      "--operator <infra>",
      "instead: what an operator needs, for stacks on this sky.infra, such as aws,k8s",
    )
    .addOption(json("{pulumi,plugins,dynamo,etcd,natsServer,tokenizers,cache}"))
    .action(setUp),
);
