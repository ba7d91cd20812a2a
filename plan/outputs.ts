/**
 * The outputs of a stack: what a person reads at the end of `pulumi up`, on one screen, and in one text all that commands need to know
 * to look after the deployment from elsewhere, without its configuration. No secret is in that text.
 */
import { z } from "zod";
import { TASKS } from "../config/task";
import { PROGRAM_ROLES } from "./types";

const programSchema = z.object({
  name: z.string(),
  role: z.enum(PROGRAM_ROLES),
  /** GPU indices on the node. */
  gpus: z.array(z.number()),
  /** What it listens on, by purpose. */
  ports: z.record(z.string(), z.number()),
});

const clusterSchema = z.object({
  /** Name in the plan: `main`. */
  name: z.string(),
  /** Full name, with which SkyPilot or the driver can be asked about it. */
  cluster: z.string(),
  /** SkyPilot's name of its GPUs; absent where it has none, and on this machine. */
  accelerator: z.string().optional(),
  nodes: z.array(z.object({ rank: z.number(), programs: z.array(programSchema) })),
});

const deploymentSchema = z.object({
  /** `local`: the machine that made it. `sky`: clusters of SkyPilot. */
  target: z.enum(["local", "sky"]),
  /** Where SkyPilot's clusters may be, as configured; it decides which `sky` is asked. */
  infra: z.array(z.string()),
  /** Dynamo namespace in which the workers register. */
  namespace: z.string(),
  routerMode: z.string(),
  /** What clients ask the model for. */
  task: z.enum(TASKS),
  /** How many workers of each role have to be registered with every frontend. */
  workers: z.object({
    aggregated: z.number(),
    prefill: z.number(),
    decode: z.number(),
    // Deployments made before there were encoders do not count them.
    encode: z.number().default(0),
  }),
});

const detailsSchema = z.object({
  engine: z.string(),
  deployment: deploymentSchema,
  topology: z.array(clusterSchema),
  /** Log files by program, relative to the state's directory where they are on this machine. */
  logs: z.record(z.string(), z.array(z.string())),
  /** A command of curl that asks the model for what it is there for, for a POSIX shell. Earlier versions did not tell it. */
  curl: z.string().optional(),
  /** What each cluster was expected to cost, US dollars an hour; null where SkyPilot knows no price. */
  prices: z.record(z.string(), z.number().nullable()),
});

/** A program of a deployment that runs. */
export type DeployedProgram = z.output<typeof programSchema>;
/** A cluster of a deployment that runs. */
export type DeployedCluster = z.output<typeof clusterSchema>;
/** What the output `deployment` says. */
export type DeploymentDetails = z.input<typeof detailsSchema>;

/** Begins the text: Pulumi would print an output that is JSON over a hundred lines. The number is that of its form. */
const MARK = "dynamo-sky/1 ";

/** The output `deployment`: one line, which Pulumi cuts at the edge of the screen, and which commands read. */
export function detailsText(details: DeploymentDetails): string {
  return MARK + JSON.stringify(details);
}

const detailsTextSchema = z.string().transform((text, context) => {
  try {
    if (text.startsWith(MARK)) return detailsSchema.parse(JSON.parse(text.slice(MARK.length)));
  } catch {
    // As for any other text: what exactly is wrong with it helps nobody.
  }
  context.addIssue({
    code: "custom",
    message: `it does not begin with ${JSON.stringify(MARK)}, or is not whole`,
  });
  return z.NEVER;
});

/** The output `cost`: US dollars an hour; null where a price is not known. */
export const costSchema = z.object({
  /** GPUs of all nodes, used or not. */
  gpus: z.number(),
  /** Of the cheapest machines. */
  dollarsPerHour: z.number().nullable(),
  /** Of the dearest that SkyPilot may fall back to. */
  mostDollarsPerHour: z.number().nullable(),
});

/** The outputs, as `pulumi stack output --json` has them. What is absent or null is not of this deployment. */
export const outputsSchema = z.object({
  /** Base URL of the OpenAI-compatible API, without `/v1`. */
  endpoint: z.string(),
  model: z.string(),
  /** The first key; secret. */
  apiKey: z.string().nullish(),
  /** What clients have to trust, PEM. */
  certificate: z.string().nullish(),
  /** SHA-256 of the certificate that the endpoint shows. */
  certificateFingerprint: z.string().nullish(),
  cost: costSchema.optional().catch(undefined),
  deployment: detailsTextSchema,
});
