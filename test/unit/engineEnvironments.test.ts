import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { ENGINE_VERSIONS, VERSIONS } from "../../config/versions";
import { enginePins, engineRequirements, INSTALLED_ENGINES } from "../../dev/engineEnvironments";

describe.each(INSTALLED_ENGINES)("the environment of %s", (engine) => {
  const pins = enginePins(engine);
  const wanted = readFileSync(engineRequirements(engine).replace(/\.txt$/, ".in"), "utf8");

  it("is for the version of Dynamo that everything else is for", () => {
    expect(wanted).toContain(`\nai-dynamo[${engine}]==${VERSIONS.dynamo}\n`);
    expect(pins).toContain(`ai-dynamo==${VERSIONS.dynamo}`);
  });

  it("has the version of the engine that the table of versions names", () => {
    expect(pins).toContain(`${engine}==${ENGINE_VERSIONS[engine].pypi}`);
  });

  it("names an exact version of every package, and no index", () => {
    expect(pins.length).toBeGreaterThan(100);
    expect(pins.filter((line) => !/^[\w.-]+==[\w.!+-]+( ; .+)?$/.test(line))).toEqual([]);
  });
});

describe("the table of versions", () => {
  it.each(Object.entries(ENGINE_VERSIONS))(
    "has the same %s on PyPI and in NVIDIA's image, so that one set of flags is right for both",
    (_, { pypi, image }) => expect(image).toBe(pypi),
  );
});
