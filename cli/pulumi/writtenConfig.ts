/** Content of a stack's file, without validation. */
import { CONFIG_NAMESPACE } from "../../config/problems";
import { readProject, readYaml, stackFile } from "./project";

/** The settings of this program's namespace in a stack's file, without the namespace. */
export function writtenConfig(file: string): Record<string, unknown> {
  const content: unknown = readYaml(file);
  const config = asRecord(asRecord(content)["config"]);
  const prefix = `${CONFIG_NAMESPACE}:`;
  return Object.fromEntries(
    Object.entries(config).flatMap(([key, value]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), withoutSecret(value)]] : [],
    ),
  );
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
}

/** An encrypted value stays encrypted: a plan only needs to know that there is one. */
function withoutSecret(value: unknown): unknown {
  return asRecord(value)["secure"] === undefined ? value : true;
}

/**
 * Infra of a stack on SkyPilot; undefined with target local, or if its file cannot be read or does not set
 * it. Only a hint: use the validated configuration otherwise.
 */
export function writtenInfra(stack: string, directory: string): readonly string[] | undefined {
  try {
    const file = stackFile(readProject(directory), stack);
    const { target, sky } = file === undefined ? { target: "local" } : writtenConfig(file);
    const { infra } = asRecord(typeof sky === "string" ? JSON.parse(sky) : sky);
    const names = [infra].flat().filter((name) => typeof name === "string");
    return target === "local" || names.length === 0 ? undefined : names;
  } catch {
    return undefined;
  }
}
