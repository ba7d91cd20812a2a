/**
 * Characters that YAML 1.1 lets nobody write as they are, or takes for line breaks, and that JSON and `yaml` leave alone:
 * https://yaml.org/spec/1.1/#c-printable. A task travels to the nodes in YAML that SkyPilot reads as 1.1.
 */
const UNPRINTABLE = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g;

/** The text with escapes in their place, which JSON and double-quoted YAML read as the characters. */
export function withEscapes(text: string): string {
  return text.replaceAll(
    UNPRINTABLE,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
