/** Preloaded SkyPilot: the real one, without a cloud account or an API server. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { cacheDir } from "../../lib/dirs";
import { interpreterOf } from "../../sky/interpreter";
import { isPreloaded, preloadSkyPilot } from "../../sky/preloaded";
import { SkySession } from "../../sky/session";
import type { SkyProgram } from "../../toolchain/skypilot";
import { ensureOwnSkyPilot, skyAtHand } from "../../toolchain/skypilot";
import { eventually } from "../eventually";

const INFRA = ["aws", "gcp"];
const TIMEOUT = 600_000;

describe.skipIf(process.platform !== "linux")(
  "SkyPilot that is loaded once (Linux)",
  { timeout: TIMEOUT },
  () => {
    const scratch = mkdtempSync(join(tmpdir(), "dsky-loaded-"));
    const before = { ...process.env };
    const stop = new AbortController();
    const sessions: SkySession[] = [];
    let program: SkyProgram;
    let end: () => void;

    const session = (): SkySession => {
      const made = new SkySession(program, interpreterOf(program.command) ?? "", stop.signal);
      sessions.push(made);
      return made;
    };

    beforeAll(async () => {
      await ensureOwnSkyPilot(INFRA, (line) => process.stderr.write(`${line}\n`));
      // The test has its own directories except for the toolchain.
      const own = { DYNAMO_SKY_CACHE: cacheDir(), HOME: scratch, TMPDIR: scratch };
      Object.assign(process.env, own, { SKYPILOT_DISABLE_USAGE_COLLECTION: "1" });
      program = (await skyAtHand(INFRA)) ?? { command: "", env: {} };
      end = await preloadSkyPilot(INFRA);
    }, TIMEOUT);
    afterAll(() => {
      for (const one of sessions) one.close();
      end();
      process.env = before;
      rmSync(scratch, { recursive: true, force: true });
    });

    it("answers several at once, in one process and in several", async () => {
      expect(isPreloaded(program)).toBe(true);
      const [one, other] = [session(), session()];
      const answers = await Promise.all([one, one, one, other].map((each) => each.ask(["--version"], 300)));
      for (const { code, stdout } of answers) {
        expect(code).toBe(0);
        expect(stdout).toMatch(/^skypilot, version \d/);
      }
      // Changing commands do not run in a fork.
      expect(await sessions[0]?.become(["down", "--help"], {})).toBeUndefined();
    });

    it("is another SkyPilot's business where that is asked", () => {
      expect(isPreloaded({ command: "/usr/bin/sky", env: {} })).toBe(false);
    });

    it("goes when it is ended, and leaves no file", async () => {
      const sockets = () => readdirSync(scratch).filter((name) => name.startsWith("dsky-preload-"));
      expect(sockets()).toHaveLength(1);
      end();
      await eventually(() => sockets().length === 0);
      expect(isPreloaded(program)).toBe(false);
    });
  },
);
