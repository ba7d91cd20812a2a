/** Waiting in tests: by condition, with a bound. */
import { vi } from "vitest";

const INTERVAL_MS = 50;

/**
 * Waits for a condition. One that throws does not hold yet: what it looks at may not be there, or be half written.
 *
 * @param seconds How long. Default 30.
 * @throws Error after that time, with what the condition has thrown last, if it has.
 */
export async function eventually(condition: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  const look = async (): Promise<void> => {
    if (!(await condition())) throw new Error(`the condition did not come true within ${seconds} s`);
  };
  await vi.waitFor(look, { timeout: seconds * 1000, interval: INTERVAL_MS });
}
