/**
 * Checks that span settings, which one value's schema cannot make. They run on the valid settings; an invalid
 * one is absent, and checks that depend on it are skipped, so that one mistake is not reported twice.
 */

import type { EngineName } from "../../engines";
import type { Problem } from "../problems";
import type { ParsedConfig } from "../schema";
import { accessChecks } from "./access";
import { autoscaleChecks } from "./autoscale";
import { controlPlaneChecks } from "./controlPlane";
import { engineChecks } from "./engines";
import { fileChecks } from "./files";
import { idleChecks } from "./idle";
import { imageChecks } from "./image";
import { infraChecks } from "./infra";
import { labelChecks } from "./labels";
import { machineImageChecks } from "./machineImages";
import { modelChecks } from "./model";
import { mountChecks } from "./mounts";
import { parserChecks } from "./parsers";
import { placementChecks } from "./placement";
import { poolChecks } from "./pools";
import { registryChecks } from "./registry";
import { restChecks } from "./rest";
import { routerChecks } from "./router";
import { scheduleChecks } from "./schedule";
import { secretChecks } from "./secrets";
import { sharingChecks } from "./sharing";
import { skyChecks } from "./sky";
import { skyConfigChecks } from "./skyConfig";
import { spotChecks } from "./spot";
import { taskChecks } from "./task";
import { textChecks } from "./text";
import { updateChecks } from "./update";

/** The valid part of the configuration. Lists and objects are complete or absent. */
export type Known = { readonly [K in keyof Omit<ParsedConfig, "engine">]?: ParsedConfig[K] | undefined } & {
  readonly engine?: EngineName;
};

/** Every problem that spans settings. */
export function checkAcross(known: Known): Problem[] {
  return [
    modelChecks,
    poolChecks,
    autoscaleChecks,
    spotChecks,
    scheduleChecks,
    restChecks,
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
    machineImageChecks,
    registryChecks,
    sharingChecks,
    taskChecks,
    parserChecks,
    updateChecks,
    idleChecks,
    secretChecks,
  ].flatMap((check) => check(known));
}
