/** What the state of a stack tells of its deployment. Pure. */
import { z } from "zod";
import { DEPLOYMENT_TYPE } from "../../plan/outputs";
import { OperationFailed } from "./problem";
import { revealed } from "./secrets";
import { nameOf } from "./steps";

/** What `pulumi stack export` prints, as far as it is used here. */
const exportedSchema = z.object({
  version: z.number(),
  deployment: z.object({
    resources: z
      .array(
        z.object({
          urn: z.string(),
          type: z.string(),
          /** To be deleted. */
          delete: z.boolean().default(false),
          outputs: z.record(z.string(), z.unknown()).default({}),
        }),
      )
      .nullish()
      .transform((resources) => (resources ?? []).filter((resource) => !resource.delete)),
  }),
});

/** Whether that is what `pulumi stack export` prints. */
export const isExported = (value: unknown): boolean => exportedSchema.safeParse(value).success;

/**
 * Outputs of the stack, and of its DynamoCluster, whatever the program calls them.
 *
 * @param exported What `pulumi stack export` prints. Secrets are `[secret]` unless `--show-secrets` was
 * given.
 * @throws OperationFailed if the stack has several deployments: then no command knows which is meant.
 */
export function outputsIn(exported: unknown): Readonly<Record<string, unknown>> {
  const { resources } = exportedSchema.parse(exported).deployment;
  const stack = resources.find(({ type }) => type === "pulumi:pulumi:Stack")?.outputs ?? {};
  const [deployment, ...others] = resources.filter(({ type }) => type === DEPLOYMENT_TYPE);
  if (deployment !== undefined && others.length > 0) throw severalDeployments([deployment, ...others]);
  const { address, ...known } = deployment?.outputs ?? {};
  // Without one while it is asleep; if it fell asleep in part, the one of before counts.
  const endpoint = address === undefined || address === "" ? stack["endpoint"] : address;
  const all = { ...stack, ...known, ...(endpoint === undefined ? {} : { endpoint }) };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, revealed(value)]));
}

function severalDeployments(deployments: readonly { readonly urn: string }[]): OperationFailed {
  const names = deployments.map(({ urn }) => nameOf(urn)).join(", ");
  return new OperationFailed(
    `The stack has several deployments: ${names}. These commands know which is meant if each has a stack of its own.`,
  );
}
