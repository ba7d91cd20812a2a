/**
 * Variables in which Pulumi hands a program its whole configuration, secrets too: `runtime/config.ts` of its
 * SDK.
 */
const OF_THE_PROGRAM = ["PULUMI_CONFIG", "PULUMI_CONFIG_SECRET_KEYS"];

/**
 * This process's environment for others that it starts. They have no need of a program's configuration, and
 * some outlive it, such as ssh's shared connections.
 */
export function inherited(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !OF_THE_PROGRAM.includes(name)));
}
