/** Limits of a deployment's resources and cost. */
import { decimal, flag, optional, section, setting, whole } from "./values";

export const limitsSchema = section({
  gpus: optional(whole({ min: 0, max: 1_000_000 }), {
    absent: "no limit",
    unit: "GPUs",
    about:
      "Most GPUs of all nodes together, used or not. A deployment that takes more is refused before anything is provisioned.",
  }),
  dollarsPerHour: optional(decimal({ min: 0 }), {
    absent: "no limit",
    unit: "US dollars an hour",
    about:
      "Most that all clusters together may cost, by SkyPilot's prices of machines (disks and traffic come on top). What counts is the dearest that SkyPilot may fall back to. A deployment that may cost more is refused before anything is provisioned.",
  }),
  allowUnknownPrice: setting(flag(), {
    default: false,
    about:
      "Provisions machines whose price SkyPilot does not know although there is a limit on it. When false that is refused.",
  }),
});
