/**
 * Characters that YAML 1.1 does not allow unescaped, or takes for line breaks, but that JSON and `yaml` do
 * not escape: https://yaml.org/spec/1.1/#c-printable. SkyPilot parses a task's YAML as 1.1.
 */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** Replaces them with escapes that are valid in JSON and double-quoted YAML. */
export function withEscapes(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
