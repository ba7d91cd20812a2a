/** Whether `npm test` runs both labs. */
import { describe, expect, it } from "vitest";
import { whyNotBothLabs } from "../../dev/lab/system";

const MACHINE = { processors: 8, gigabytes: 32, go: "/usr/local/go/bin/go" };

describe("both labs beside each other", () => {
  it("are tested where there is room for them, and Go", () => {
    expect(whyNotBothLabs(MACHINE)).toBeUndefined();
    expect(whyNotBothLabs({ ...MACHINE, processors: 4, gigabytes: 16 })).toBeUndefined();
  });

  it.each([
    [{ processors: 2 }, "both labs together need 4 processors, and this machine has 2"],
    [{ gigabytes: 8.3 }, "both labs together need 15 GB of memory, and this machine has 8"],
    [{ go: undefined }, "Kubernetes is built with Go, and there is no 'go' on PATH"],
  ])("are not with %j, and it is said why", (change, why) => {
    expect(whyNotBothLabs({ ...MACHINE, ...change })).toBe(why);
  });
});
