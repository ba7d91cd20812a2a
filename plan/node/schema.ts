/** Zod schemas of the plan's programs, for input from outside (the driver's standard input). */
import { z } from "zod";
import { TASKS } from "../../config/task";
import type { RolloutPlan } from "../rollout";
import {
  type Lockstep,
  type MpiStart,
  PROGRAM_ROLES,
  type Probe,
  type ProgramPlan,
  type Wait,
  type Watch,
} from "../types";

/** Names that become file names and supervisor section names, so no other characters are allowed. */
export const nameSchema = z
  .string()
  .max(100)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, "must consist of lower-case letters, digits and single hyphens");

const port = z.int().min(1).max(65535);
const variable = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "must be the name of an environment variable");
// Arguments and environment variables cannot hold a NUL byte.
const text = z.string().refine((value) => !value.includes("\0"), "must not contain a NUL byte");

const fileName = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, "must be a plain file name");

const probeSchema: z.ZodType<Probe, Probe> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("http"), url: z.string() }),
  z.strictObject({ kind: z.literal("tcp"), host: z.string(), port }),
]);

const waitSchema: z.ZodType<Wait, Wait> = z.strictObject({
  name: text,
  probe: probeSchema,
  timeoutSeconds: z.number().positive(),
});

const lockstepSchema: z.ZodType<Lockstep, Lockstep> = z.strictObject({
  host: text,
  port,
  ranks: z.int().min(2),
  secret: variable,
  timeoutSeconds: z.number().positive(),
});

const mpiSchema: z.ZodType<MpiStart, MpiStart> = z.strictObject({
  hosts: z.array(text).min(2),
  worker: z.int().min(1).exactOptional(),
  daemonEnv: z.record(variable, text).exactOptional(),
});

const watchSchema: z.ZodType<Watch, Watch> = z.strictObject({
  everySeconds: z.number().positive(),
  timeoutSeconds: z.number().positive(),
  failures: z.int().min(1),
});

/** One {@link ProgramPlan}. */
export const programSchema: z.ZodType<ProgramPlan, ProgramPlan> = z.strictObject({
  name: nameSchema,
  role: z.enum(PROGRAM_ROLES),
  replica: z.int().min(0),
  rank: z.int().min(0),
  command: z.array(text).min(1),
  env: z.record(variable, text),
  secretEnv: z.array(variable),
  files: z.record(fileName, text).exactOptional(),
  brought: z.record(z.string(), z.string()).exactOptional(),
  gpus: z.array(z.int().min(0)),
  ports: z.record(z.string(), port),
  waitsFor: z.array(waitSchema),
  health: probeSchema,
  watch: watchSchema.exactOptional(),
  stopSeconds: z.number().min(0),
  lockstep: lockstepSchema.exactOptional(),
  mpi: mpiSchema.exactOptional(),
});

/** A {@link RolloutPlan}, with the clusters' full names. */
export const rolloutSchema: z.ZodType<RolloutPlan, RolloutPlan> = z.strictObject({
  pools: z.array(
    z.strictObject({
      name: nameSchema,
      units: z.array(
        z.strictObject({ cluster: nameSchema, unit: nameSchema, ranks: z.array(z.int().min(0)) }),
      ),
      maxUnavailable: z.int().min(1),
      minReadySeconds: z.number().min(0),
      generation: z.string().exactOptional(),
      pin: z.strictObject({ ask: z.string(), seen: z.string() }).exactOptional(),
    }),
  ),
  frontends: z.array(z.string()),
  home: nameSchema,
  model: z.string(),
  task: z.enum(TASKS),
});
