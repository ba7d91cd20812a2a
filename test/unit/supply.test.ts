/** All downloads have a fixed version, with a checksum if possible; and there are no others. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { dynamoImage } from "../../config/checks/image";
import { VERSIONS } from "../../config/versions";
import { engineRequirements, INSTALLED_ENGINES } from "../../dev/engineEnvironments";
import { parseConfig } from "../../plan/config";
import { ENGINES } from "../../plan/types";
import { setupCommand } from "../../sky/setup";
import { packageRoot } from "../../toolchain/index";
import { requirementsFile, uvRequirementsFile } from "../../toolchain/python";
import { skyPilotLock } from "../../toolchain/skypilot";

/** Commands that download, in a shell or as an argument list. */
const DOWNLOADS =
  /\b(curl -|wget |git clone|pip3? install|npm (ci|install)\b|go (get|install)\b|apt-get .*(download|install|update)|docker pull|snapshot_download|urlretrieve|PulumiCommand\.install)|"(pip|get|download|plugin|ci)"(,|$)|"-qq", "(update|download)"|\["install"/;

/** The places with downloads, each with the number of lines and how they are verified. */
const KNOWN: Readonly<Record<string, string>> = {
  "components/topology.ts": "curl in the command that the `chat` output shows: it asks the endpoint",
  "runtime/setup.sh": "ai-dynamo, supervisor in exact versions; apt; the model at its revision",
  "runtime/fetch_model.py": "the model at its revision, by the hub's own library",
  "toolchain/bootstrap.mjs": "npm ci: package-lock.json with its checksums",
  "dev/lab/kubernetes/image.sh":
    "apt; Dynamo by its lock with hashes; SkyPilot's runtime as SkyPilot installs it",
  "dev/lab/kubernetes/up.ts": "asks the lab's own API server (`kubectl get`)",
  "dev/lab/kubernetes/daemons.ts": "the same",
  "dev/lab/system.ts": "apt: the lab's Debian packages, whose signatures apt checks",
  "dev/lab/up.ts": "uv for the lab's nodes",
  "toolchain/debian.ts": "apt checks signatures and checksums",
  "toolchain/go.ts": "exact versions, and Go's checksum database",
  "toolchain/model.ts": "the tokenizer of a model, by the hub's own library",
  "toolchain/plugins/language/install.ts":
    "`pulumi install`: the user's package manager, as the user's lock file says",
  "toolchain/plugins/language/plugin.ts": "says what installs Pulumi's SDK, where it is not there",
  "toolchain/plugins.ts": "Pulumi's plugins in exact versions, by Pulumi's own command",
  "toolchain/pulumi.ts": "the CLI in the package's version, by Pulumi's own installer",
  "toolchain/python.ts": "--require-hashes",
  "toolchain/skypilot.ts": "--require-hashes",
  "cli/main.ts": "says what installs a package that only one verb needs",
  "cli/recipe.ts": "curl in a recipe's first lines: it asks the endpoint",
  "cli/proof.ts": "asks the endpoint of this machine",
};

const read = (path: string): string => readFileSync(join(packageRoot(), path), "utf8");

/** The source files, without tests. */
function sources(): string[] {
  const listed = execFileSync("git", ["ls-files"], { cwd: packageRoot(), encoding: "utf8" })
    .trim()
    .split("\n");
  return listed.filter(
    (path) =>
      /\.(ts|mjs|cjs|py|sh)$|^\.ci\/|^bin\//.test(path) &&
      !/^(test|docs|examples)\//.test(path) &&
      !path.endsWith(".d.ts"),
  );
}

/** Lines of code, without comments and user messages. */
function code(path: string): string[] {
  return read(path)
    .split("\n")
    .filter((line) => !/^\s*(\*|\/\/|\/\*\*|#(?!!))/.test(line));
}

describe("what is downloaded", () => {
  it("is known: every place that downloads something is on the list above", () => {
    const found = sources().filter((path) => code(path).some((line) => DOWNLOADS.test(line)));
    expect(found.filter((path) => !Object.hasOwn(KNOWN, path))).toEqual([]);
  });

  it("comes over TLS", () => {
    const plain = sources().flatMap((path) =>
      code(path)
        .filter((line) =>
          /["'`]http:\/\/(?!(127\.|localhost|\[|\$\{|%s|www\.w3\.org|json-schema\.org|supervisord\.org))[\w.-]+\.[a-z]/.test(
            line,
          ),
        )
        .map((line) => `${path}: ${line.trim()}`),
    );
    expect(plain).toEqual([]);
    // These compare the certificate itself with the expected one before anything is sent
    // (`test/dynamo/tls.test.ts`).
    const pinning = ["lib/http.ts", "toolchain/pinned.ts"];
    const others = sources().filter((path) => !pinning.includes(path));
    const insecure = others.flatMap((path) =>
      code(path).filter((line) =>
        /--insecure|--trusted-host|AllowUnauthenticated|verify=False|rejectUnauthorized: false/.test(line),
      ),
    );
    expect(insecure).toEqual([]);
  });

  it("has exact versions", () => {
    for (const [name, version] of Object.entries(VERSIONS))
      expect({ name, version }).toEqual({ name, version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });

  it("is checked against hashes where Python packages are listed", () => {
    const engines = INSTALLED_ENGINES.map(engineRequirements);
    const files = [requirementsFile(), uvRequirementsFile(), skyPilotLock(), ...engines];
    for (const file of files) {
      const entries = readFileSync(file, "utf8")
        .split(/\n(?! )/)
        .filter((entry) => /^[a-z]/i.test(entry));
      expect(entries.length).toBeGreaterThan(0);
      for (const entry of entries)
        expect(entry).toMatch(/^[\w.[\]-]+==\S+.* \\\n {4}--hash=sha256:[0-9a-f]{64}/);
      expect(entries.join("\n")).not.toMatch(/https?:|index-url|find-links/);
    }
    expect(readFileSync(uvRequirementsFile(), "utf8")).toContain(`uv==${VERSIONS.uv} `);
    const skyPilot = `skypilot==${VERSIONS.skypilot} \\\n`;
    expect(readFileSync(skyPilotLock(), "utf8")).toContain(skyPilot);
    expect(readFileSync(skyPilotLock().replace(/txt$/, "in"), "utf8")).toContain(`]==${VERSIONS.skypilot}\n`);
  });

  it.each(ENGINES)("onto nodes with engine %s is in an exact version", (engine) => {
    const services = { controlPlane: true, gateway: true, prometheus: true };
    const command = setupCommand(parseConfig({ model: "Qwen/Qwen3-8B", engine }), services, {});
    const versions = [...command.matchAll(/--(?:dynamo|supervisor) (\S+)/g)].map(([, version]) => version);
    expect(versions.length).toBe(2);
    for (const version of versions) expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    const setup = read("runtime/setup.sh");
    const packages = [
      ...setup.matchAll(/(?:package|add_packages.*)="?.*==\$\w+|add_packages.*"\S+==\$\w+"/g),
    ];
    expect(packages.length).toBe(2);
    expect(setup).not.toMatch(/\b(curl|wget)\b|http:|\| *(ba)?sh\b/);
    const image = dynamoImage(engine);
    if (image !== undefined) expect(image).toMatch(/^docker:[\w./-]+:\d+\.\d+\.\d+$/);
  });

  it("by npm is what package-lock.json has, with a checksum of each but those for other systems", () => {
    const lock: { packages: Record<string, { integrity?: string; link?: boolean; optional?: boolean }> } =
      JSON.parse(read("package-lock.json"));
    const without = Object.entries(lock.packages).filter(
      ([path, { integrity, link, optional }]) => path !== "" && !link && !optional && integrity === undefined,
    );
    expect(without.map(([path]) => path)).toEqual([]);
  });
});
