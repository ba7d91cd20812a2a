/** `dynamo-sky ask`: one request to a running deployment, as a client sends it. */
import { answerInWords, askModel } from "../chat";
import { CWD, json, NEEDED_STACK, timeout, verb } from "../command";
import { exitCodes, withTimeout } from "../commandLine";
import { deploymentOf, outputsOf } from "../deployment/running";
import { openStack } from "../pulumi/openStack";
import { OperationFailed } from "../pulumi/problem";
import { withCauses } from "../verify/nodeLogs";

const QUESTION = "Say hello in one sentence.";

export const command = verb(
  "ask",
  `Asks the model of a running deployment for what it is there for (an answer, a vector, a class), with its key and its certificate,
and prints what comes back.`,
  exitCodes({ ok: "it answered", failed: "it did not" }),
)
  .argument("[text]", "what to ask", QUESTION)
  .addOption(NEEDED_STACK)
  .addOption(CWD)
  .option("--curl", "ask nothing: print the command of curl, which takes the key from $DYNAMO_API_KEY", false)
  .addOption(timeout(120))
  .addOption(json("{text,content,tokens,firstMs,totalMs}"))
  .action(async (text, options) => {
    const stack = await openStack({ projectDir: options.cwd, stack: options.stack });
    const outputs = await outputsOf(stack);
    const deployment = deploymentOf(outputs);
    if (options.curl) {
      if (deployment.curl === undefined)
        throw new OperationFailed(
          "The stack was deployed by an earlier version: run `up` once with this one.",
        );
      console.log(deployment.curl);
      return;
    }
    let said = "";
    const show = (piece: string): void => {
      said += piece;
      // What a model says must not command the terminal.
      if (!options.json) process.stdout.write(piece.replace(/[^\P{Cc}\n]/gu, " "));
    };
    const answer = await withCauses(outputs, () =>
      withTimeout(options.timeout, (signal) => askModel(deployment, text, show, signal)),
    );
    if (options.json) return console.log(JSON.stringify({ text: said, ...answer }, undefined, 2));
    if (said !== "") process.stdout.write("\n");
    process.stderr.write(`(${answerInWords(answer)})\n`);
  });
