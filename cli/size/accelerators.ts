/** Accelerators that SkyPilot and AIConfigurator both know. */

/**
 * SkyPilot's name, and AIConfigurator's of the machines with them that it has measured. Of each there are
 * machines with eight, connected with each other: `num_gpus_per_node` in
 * https://github.com/ai-dynamo/aiconfigurator/tree/v0.12.0/aic-core/src/aiconfigurator_core/systems
 * Not here: GB200 and GB300, whose machines have four, and Intel's B60. Of others that it names it has
 * measured nothing (A30, L4, those of PCIe).
 */
export const ACCELERATORS: Readonly<Record<string, string>> = {
  H100: "h100_sxm",
  H200: "h200_sxm",
  B200: "b200_sxm",
  B300: "b300_sxm",
  "A100-80GB": "a100_sxm",
  L40S: "l40s",
  RTXPRO6000: "rtx_pro_6000_server",
};

export const GPUS_OF_A_NODE = 8;
