/** Each of Slurm's reasons for a pending job is known, with what ends the wait. */
import { describe, expect, it } from "vitest";
import { permanentFailure } from "../../sky/failure";
import { slurmWait, type WaitEnd } from "../../sky/slurmReasons";
import { SLURM_REASONS } from "./slurmReasons";

describe("a reason of Slurm", () => {
  const all = (Object.keys(SLURM_REASONS) as WaitEnd[]).flatMap((ends) =>
    SLURM_REASONS[ends].map((code) => [code, ends] as const),
  );

  it("is one of all that Slurm has", () => {
    expect(all.length).toBe(new Set(all.map(([code]) => code)).size);
    expect(all.length).toBeGreaterThan(180);
  });

  it.each(all)("%s is ended by %s", (code, ends) => {
    const reason = `Launching (pending: ${code}; partition: h100)`;
    expect(slurmWait(reason)?.ends).toBe(ends);
    const patient = permanentFailure(reason, true);
    const impatient = permanentFailure(reason, false);
    expect([impatient !== undefined, patient !== undefined]).toEqual([ends !== "queue", ends === "nothing"]);
    for (const failure of [patient, impatient].filter((one) => one !== undefined)) {
      expect(failure.cause).toMatch(new RegExp(`^${code}: \\w.*SkyPilot says: `));
      expect(failure.cause).toContain(reason);
    }
  });

  it("may have details behind it", () => {
    expect(
      slurmWait("Launching (pending: ReqNodeNotAvail, UnavailableNodes:gpu1; partition: h100)"),
    ).toMatchObject({
      code: "ReqNodeNotAvail",
      ends: "others",
    });
    expect(slurmWait("Launching (waiting for queue admission)")).toBeUndefined();
    expect(permanentFailure("Launching (pending: SomethingNewOfSlurm26)", false)).toBeUndefined();
  });
});
