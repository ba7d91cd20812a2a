/**
 * `npm run setup [-- --model NAME]`: finds or installs everything that a local cluster needs, and prints the
 * paths.
 */
import { parseArgs } from "node:util";
import { exitCodes, runTool } from "../cli/commandLine";
import { cacheDir, ensureToolchain } from "../toolchain/index";

const usage = `Usage: npm run setup [-- options]

Finds or installs everything that a cluster on this machine needs, and says what is where.

Options
  --model ORGANISATION/NAME   model whose tokenizer the cache must hold (default: Qwen/Qwen3-8B)
  --json                      print JSON: {pulumi,plugins,dynamo,etcd,natsServer,tokenizers,cache}

${exitCodes({ ok: "all there (etcd and NATS may be missing)", failed: "something could not be had" }, "the command is wrong")}`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "Qwen/Qwen3-8B" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    console.log(usage);
    return;
  }
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

runTool(main, usage);
