import { STAND_IN, serveHost, VERSION } from "./host";

/** The engine's address is the last argument. */
const argument = process.argv.at(-1);
if (process.argv.includes("--version") || process.argv.includes("-version")) {
  process.stdout.write(`${VERSION} (${STAND_IN})\n`);
} else if (argument === undefined || process.argv.length < 3) {
  process.stderr.write("pulumi-language-nodejs is started by the Pulumi engine, which gives its address.\n");
  process.exitCode = 2;
} else {
  serveHost(argument);
}
