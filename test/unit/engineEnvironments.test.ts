import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { VERSIONS } from "../../config/versions";
import { enginePins, engineRequirements, INSTALLED_ENGINES } from "../../dev/engineEnvironments";
import { engines, realEngines } from "../../engines";

describe.each(INSTALLED_ENGINES)("the environment of %s", (engine) => {
  const pins = enginePins(engine);
  const wanted = readFileSync(engineRequirements(engine).replace(/\.txt$/, ".in"), "utf8");

  it("is for the version of Dynamo that everything else is for", () => {
    expect(wanted).toContain(`\nai-dynamo[${engine}]==${VERSIONS.dynamo}\n`);
    expect(pins).toContain(`ai-dynamo==${VERSIONS.dynamo}`);
  });

  it("has the version of the engine that the table of versions names", () => {
    expect(pins).toContain(`${engine}==${engines[engine].release?.pypi}`);
  });

  it("names an exact version of every package, and no index", () => {
    expect(pins.length).toBeGreaterThan(100);
    expect(pins.filter((line) => !/^[\w.-]+==[\w.!+-]+( ; .+)?$/.test(line))).toEqual([]);
  });
});

describe("the version of", () => {
  it.each(realEngines())(
    "%s is the same on PyPI and in NVIDIA's image: one set of flags is right for both",
    (engine) => {
      expect(engines[engine].release?.image).toBe(engines[engine].release?.pypi);
    },
  );
});
