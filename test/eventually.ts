/** Waiting for conditions in tests, with a time limit. */
import { vi } from "vitest";

const INTERVAL_MS = 50;

/**
 * Waits for a condition. One that throws does not hold yet: a file may be missing, or partially written.
 *
 * @param seconds Time limit. Default 30.
 * @throws Error after that time, with the condition's last error, if any.
 */
export async function eventually(condition: () => boolean | Promise<boolean>, seconds = 30): Promise<void> {
  const look = async (): Promise<void> => {
    if (!(await condition())) throw new Error(`the condition did not come true within ${seconds} s`);
  };
  await vi.waitFor(look, { timeout: seconds * 1000, interval: INTERVAL_MS });
}
