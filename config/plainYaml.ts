/**
 * Text that SkyPilot's templates put into YAML without quotes (`templates/*-ray.yml.j2`): names of labels, images, instance types, contexts.
 * Pure.
 */
import { parse } from "yaml";

/** Why a text would not be read as it was written; undefined when it would. */
export function notPlain(text: string): string | undefined {
  let read: unknown;
  try {
    // That of PyYAML, which reads `yes`, `1:20` and `0o7` as something else than text.
    read = parse(text, { version: "1.1", logLevel: "error" });
  } catch {
    read = undefined;
  }
  // `=` alone has a meaning of its own in YAML 1.1.
  if (read === text && text !== "=") return undefined;
  return "goes into a YAML file of SkyPilot as it is, where it would be read as something else than this text";
}
