/** Start of both plugins. */
import { type Provider, serve } from "./rpc/server";

/**
 * Serves the provider to the engine whose address is the first argument, or prints a description for
 * `--version`.
 */
export function startPlugin(name: string, provider: Provider): void {
  const argument = process.argv[2];
  if (argument === "--version") {
    process.stdout.write(`${provider.version} (stand-in for the official pulumi-resource-${name})\n`);
  } else if (argument === undefined) {
    process.stderr.write(
      `pulumi-resource-${name} is started by the Pulumi engine, which gives its address.\n`,
    );
    process.exitCode = 2;
  } else {
    serve(provider, argument);
  }
}
