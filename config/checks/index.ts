/**
 * Checks across settings, which one value's schema cannot make. Each runs on what could be read; a setting that could
 * not is absent, and what depends on it is not checked, so nobody is told of a mistake that another one caused.
 */

import type { EngineName } from "../names";
import type { Problem } from "../problems";
import type { ParsedConfig } from "../schema";
import { accessChecks } from "./access";
import { controlPlaneChecks } from "./controlPlane";
import { engineChecks } from "./engines";
import { fileChecks } from "./files";
import { imageChecks } from "./image";
import { infraChecks } from "./infra";
import { labelChecks } from "./labels";
import { modelChecks } from "./model";
import { mountChecks } from "./mounts";
import { placementChecks } from "./placement";
import { poolChecks } from "./pools";
import { routerChecks } from "./router";
import { sharingChecks } from "./sharing";
import { skyChecks } from "./sky";
import { skyConfigChecks } from "./skyConfig";
import { taskChecks } from "./task";
import { textChecks } from "./text";

/** The configuration as far as it could be read. Lists and objects are there as a whole or not at all. */
export type Known = { readonly [K in keyof Omit<ParsedConfig, "engine">]?: ParsedConfig[K] | undefined } & {
  readonly engine?: EngineName;
};

/** Every mistake that lies between settings. */
export function checkAcross(known: Known): Problem[] {
  return [
    modelChecks,
    poolChecks,
    engineChecks,
    placementChecks,
    routerChecks,
    accessChecks,
    skyChecks,
    skyConfigChecks,
    infraChecks,
    labelChecks,
    textChecks,
    fileChecks,
    mountChecks,
    controlPlaneChecks,
    imageChecks,
    sharingChecks,
    taskChecks,
  ].flatMap((check) => check(known));
}
