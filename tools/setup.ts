/**
 * `npm run setup [-- --model NAME]`: finds or installs everything that a local cluster needs, and says what is where.
 * Exit code: 0 all there (etcd and NATS may be missing), 1 something could not be had, 2 wrong usage.
 */
import { parseArgs } from "node:util";
import { runTool } from "./commandLine";
import { cacheDir, ensureToolchain } from "./toolchain/index";

const usage = "Usage: npm run setup [-- --model ORGANISATION/NAME]   (default Qwen/Qwen3-8B)";

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "Qwen/Qwen3-8B" },
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
