/** NVIDIA's load generator in its own Python environment, installed on first use. */
import { dirname, join } from "node:path";
import { VERSIONS } from "../../config/versions";
import type { Progress } from "../../toolchain/index";
import { ensurePythonTool, type PythonTool, toolRequirements } from "../../toolchain/pythonTool";

const AIPERF: PythonTool = {
  name: "aiperf",
  version: VERSIONS.aiperf,
  lock: "cli/bench/requirements.txt",
  // From the package's metadata: https://pypi.org/project/aiperf/
  pythons: ">=3.11,<3.14",
  program: "aiperf",
  megabytes: 840,
};

export interface Aiperf {
  /** The `aiperf` command. */
  readonly command: string;
  /** Its Python, which can also download and build tokenizers. */
  readonly python: string;
}

/** The exact packages of the environment, with their hashes. */
export function aiperfRequirements(): string {
  return toolRequirements(AIPERF);
}

/** Installs aiperf into the cache if it is not there. */
export async function ensureAiperf(onProgress: Progress): Promise<Aiperf> {
  const { path } = await ensurePythonTool(AIPERF, onProgress);
  return { command: path, python: join(dirname(path), "python") };
}
