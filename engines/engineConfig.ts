/** `engineConfig`: an engine's own configuration in its YAML form. */
import type { DeepReadonly } from "../config/deployment";
import type { Json, PlainObject } from "../config/plain";

export type Config = DeepReadonly<PlainObject>;
export type Value = DeepReadonly<Json> | undefined;

export const isGroup = (value: Value): value is Config & PlainObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Deep merge by group; the second one's values win. */
export function merged(first: Config, second: Config): PlainObject {
  const both = { ...first, ...second };
  return Object.fromEntries(
    Object.entries(both).map(([key, value]) => {
      const [one, other] = [own(first, key), own(second, key)];
      return [key, isGroup(one) && isGroup(other) ? merged(one, other) : value];
    }),
  ) as PlainObject;
}

export const own = (config: Config, key: string): Value =>
  Object.hasOwn(config, key) ? config[key] : undefined;
