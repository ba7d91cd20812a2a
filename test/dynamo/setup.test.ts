/**
 * The set-up of a node from servers that are busy or cut connections: stand-ins for a package index and for a
 * distribution's mirror, with the real pip, uv and apt.
 */
import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { VERSIONS } from "../../config/versions";
import { cacheDir } from "../../toolchain";
import { ensureUv } from "../../toolchain/python";
import { closeAtOnce, openOnLoopback } from "../loopback";
import { RUNTIME } from "../runtime";

type Trouble = "busy" | "cut";
interface Asked {
  readonly path: string;
  readonly status: number | "cut";
}

/** Files by their paths, and the troubles of the next requests for each. */
class Server {
  readonly files = new Map<string, Buffer>();
  readonly troubles = new Map<string, Trouble[]>();
  readonly asked: Asked[] = [];
  retryAfter = "1";
  /** Whether it refuses all requests. */
  isBusy = () => false;
  private readonly server = createServer((request, response) => this.answer(request, response));

  open(): Promise<string> {
    return openOnLoopback(this.server);
  }

  close(): void {
    closeAtOnce(this.server);
  }

  private answer({ url: path = "", method }: IncomingMessage, response: ServerResponse): void {
    const [trouble] = this.troubles.get(path)?.splice(0, 1) ?? [];
    const file = this.files.get(path);
    const status = trouble === "busy" || this.isBusy() ? 429 : file === undefined ? 404 : 200;
    this.asked.push({ path, status: trouble === "cut" ? "cut" : status });
    if (status !== 200) {
      response.writeHead(status, status === 429 ? { "Retry-After": this.retryAfter } : {}).end();
      return;
    }
    const body = file ?? Buffer.alloc(0);
    response.writeHead(200, {
      "Content-Length": body.length,
      "Content-Type": path.endsWith("/") ? "text/html" : "application/octet-stream",
    });
    if (method === "HEAD") response.end();
    else if (trouble === "cut") response.write(body.subarray(0, body.length / 2), () => response.destroy());
    else response.end(body);
  }
}

/** Programs of the system that the set-up calls: not those that it should fetch. */
const PROGRAMS = [
  ...[
    "apt-get",
    "bash",
    "cat",
    "chmod",
    "cp",
    "dpkg",
    "dpkg-deb",
    "dirname",
    "env",
    "find",
    "flock",
    "id",
    "mkdir",
  ],
  ...["mktemp", "rm", "sh", "tail", "tar", "tee", "timeout", "touch", "uname", "xz", "zstd"],
];
const hasApt = existsSync("/usr/bin/apt-get");

/** Of one test. */
let home = "";
const at = (...names: readonly string[]) => join(home, ...names);

/** A Python with Dynamo, as far as it is looked for, and without supervisor. */
const environment = mkdtempSync(join(tmpdir(), "dsky-setup-python-"));
const python = join(environment, "bin", "python");
let packages = "";
beforeAll(() => {
  execFileSync("python3", ["-m", "venv", environment]);
  const where = ["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"];
  packages = execFileSync(python, where, { encoding: "utf8" }).trim();
  mkdirSync(join(packages, "dynamo", "frontend"), { recursive: true });
});
afterAll(() => rmSync(environment, { recursive: true, force: true }));

const SIMPLE = "/simple/supervisor/";
const WHEEL = `supervisor-${VERSIONS.supervisor}-py3-none-any.whl`;

/** An archive of Python's, which stands for the real package. @param modules Empty ones, with the others. */
function wheel(
  name = "supervisor",
  version: string = VERSIONS.supervisor,
  modules = ["supervisor/__init__.py"],
): Buffer {
  const info = `${name}-${version}.dist-info`;
  const files = {
    ...Object.fromEntries(modules.map((module) => [module, ""])),
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n`,
    [`${info}/WHEEL`]: "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    [`${info}/RECORD`]: [...modules, ...["METADATA", "WHEEL", "RECORD"].map((one) => `${info}/${one}`)]
      .map((path) => `${path},,\n`)
      .join(""),
  };
  const zip =
    "import json, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as z:\n [z.writestr(*f) for f in json.load(sys.stdin).items()]";
  execFileSync("python3", ["-c", zip, at("wheel")], { input: JSON.stringify(files) });
  return readFileSync(at("wheel"));
}

/** A package of the distribution's with one program. */
function debianPackage(name: string): { readonly file: Buffer; readonly entry: string } {
  const control = `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: test\nDescription: test\n`;
  mkdirSync(at("deb", "DEBIAN"), { recursive: true });
  mkdirSync(at("deb", "usr", "bin"), { recursive: true });
  writeFileSync(at("deb", "DEBIAN", "control"), control);
  writeFileSync(at("deb", "usr", "bin", name), "#!/bin/sh\necho it runs\n", { mode: 0o755 });
  execFileSync("dpkg-deb", ["--build", "--root-owner-group", at("deb"), at("one.deb")]);
  const file = readFileSync(at("one.deb"));
  const sum = createHash("sha256").update(file).digest("hex");
  return { file, entry: `${control}Filename: ./${name}_1_all.deb\nSize: ${file.length}\nSHA256: ${sum}\n` };
}

describe("the set-up of a node", () => {
  const server = { now: new Server() };
  let url = "";

  beforeEach(async () => {
    server.now = new Server();
    url = await server.now.open();
    home = mkdtempSync(join(tmpdir(), "dsky-setup-"));
    mkdirSync(at("bin"));
    mkdirSync(at(".dynamo-sky"));
    cpSync(RUNTIME, at(".dynamo-sky", "runtime"), { recursive: true });
    for (const program of PROGRAMS) {
      const found = ["/usr/bin", "/bin"].map((bin) => join(bin, program)).find((path) => existsSync(path));
      if (found !== undefined) symlinkSync(found, at("bin", program));
    }
    for (const name of ["python3", "python"])
      writeFileSync(at("bin", name), `#!/bin/sh\nexec ${python} "$@"\n`, { mode: 0o755 });
    // No real pauses.
    writeFileSync(at("bin", "sleep"), `#!/bin/sh\necho "$1" >> ${at("slept")}\n`, { mode: 0o755 });
    writeFileSync(at("slept"), "");
  });
  afterEach(() => {
    server.now.close();
    rmSync(home, { recursive: true, force: true });
    for (const name of readdirSync(packages).filter((one) => one.startsWith("supervisor")))
      rmSync(join(packages, name), { recursive: true });
  });

  const setUp = (
    services: readonly string[],
    env: Readonly<Record<string, string>>,
    more: readonly string[] = [],
  ) =>
    new Promise<{ readonly status: unknown; readonly output: string }>((resolve) => {
      const script = at(".dynamo-sky", "runtime", "setup.sh");
      const versions = ["--dynamo", VERSIONS.dynamo, "--supervisor", VERSIONS.supervisor];
      execFile(
        "/bin/bash",
        [script, ...versions, "--services", services.join(" "), ...more],
        { env: { HOME: at("."), PATH: at("bin"), ...env }, timeout: 200_000 },
        (error, stdout, stderr) => resolve({ status: error?.code ?? 0, output: stdout + stderr }),
      );
    });

  const slept = () => readFileSync(at("slept"), "utf8").split("\n").filter(Boolean).map(Number);
  /** @param retryAfter What it asks for. */
  function busyUntilPause(retryAfter: string): void {
    server.now.isBusy = () => slept().length === 0;
    server.now.retryAfter = retryAfter;
  }
  const hasSupervisor = () =>
    execFileSync(python, ["-c", "import supervisor; print(supervisor.__name__)"], {
      encoding: "utf8",
    }).trim();

  function giveIndex(): void {
    server.now.files.set(SIMPLE, Buffer.from(`<a href="/files/${WHEEL}">${WHEEL}</a>`));
    server.now.files.set(`/files/${WHEEL}`, wheel());
  }

  test("pip: a busy index is left alone as long as it asks, and a cut connection is tried again", async () => {
    giveIndex();
    server.now.troubles.set(SIMPLE, ["busy"]);
    server.now.troubles.set(`/files/${WHEEL}`, ["cut"]);
    const started = Date.now();
    const { status, output } = await setUp([], { PIP_INDEX_URL: `${url}/simple`, PIP_NO_CACHE_DIR: "1" });
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(hasSupervisor()).toBe("supervisor");
    expect(Date.now() - started).toBeGreaterThan(1000);
    const statuses = server.now.asked.map(({ status: one }) => one);
    expect(statuses.slice(0, 2)).toEqual([429, 200]);
    expect(statuses).toContain("cut");
  });

  test("uv: an index that asks for a longer pause than the next one gets it", async () => {
    giveIndex();
    symlinkSync(await ensureUv(cacheDir(), () => undefined), at("bin", "uv"));
    busyUntilPause("77");
    const env = { UV_INDEX_URL: `${url}/simple`, UV_HTTP_RETRIES: "0", UV_NO_CACHE: "1" };
    const { status, output } = await setUp([], env);
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(hasSupervisor()).toBe("supervisor");
    const [pause = 0, ...others] = slept();
    expect(others).toEqual([]);
    expect(pause).toBeGreaterThanOrEqual(77);
    expect(pause).toBeLessThanOrEqual(77 * 1.5);
    expect(output).toContain(`again in ${pause} s`);
  });

  test("an environment that was deleted by half, with its Python left, is made anew", async () => {
    giveIndex();
    const file = `ai_dynamo-${VERSIONS.dynamo}-py3-none-any.whl`;
    const modules = ["dynamo/__init__.py", "dynamo/frontend/__init__.py", "supervisor/__init__.py"];
    server.now.files.set("/simple/ai-dynamo/", Buffer.from(`<a href="/files/${file}">${file}</a>`));
    server.now.files.set(`/files/${file}`, wheel("ai_dynamo", VERSIONS.dynamo, modules));
    symlinkSync(await ensureUv(cacheDir(), () => undefined), at("bin", "uv"));
    // One without Dynamo.
    const system = execFileSync(python, ["-c", "import sys; print(sys._base_executable)"], {
      encoding: "utf8",
    }).trim();
    for (const name of ["python3", "python"]) {
      rmSync(at("bin", name));
      symlinkSync(system, at("bin", name));
    }
    mkdirSync(at(".dynamo-sky", "venv", "bin"), { recursive: true });
    mkdirSync(at(".dynamo-sky", "venv", "lib"));
    symlinkSync(system, at(".dynamo-sky", "venv", "bin", "python"));
    const env = { UV_INDEX_URL: `${url}/simple`, UV_HTTP_RETRIES: "0", UV_NO_CACHE: "1" };
    const { status, output } = await setUp([], env);
    expect({ status, output }).toMatchObject({ status: 0 });
    expect(existsSync(at(".dynamo-sky", "venv", "pyvenv.cfg"))).toBe(true);
    expect(slept()).toEqual([]);
  });

  describe("kernels that an engine compiles", () => {
    const given: string[] = [];
    const give = (name: string, text: string) => {
      mkdirSync(join(packages, name), { recursive: true });
      writeFileSync(join(packages, name, "__init__.py"), text);
      given.push(name);
    };
    const giveGpus = (code: number) =>
      writeFileSync(at("bin", "nvidia-smi"), `#!/bin/sh\nexit ${code}\n`, { mode: 0o755 });
    /** FlashInfer, as far as it is asked. */
    function giveFlashInfer(compiled: string): void {
      give("supervisor", "");
      give("flashinfer", "");
      writeFileSync(
        join(packages, "flashinfer", "sampling.py"),
        `import os\ndef get_sampling_module():\n    open(os.environ["HOME"] + "/asked", "w").close()\n    ${compiled}\n`,
      );
    }
    const isAsked = () => existsSync(at("asked"));
    afterEach(() => {
      for (const name of given.splice(0)) rmSync(join(packages, name), { recursive: true, force: true });
    });

    test("are compiled where GPUs are", async () => {
      giveFlashInfer("pass");
      giveGpus(0);
      const { status, output } = await setUp([], {}, ["--engine", "sglang"]);
      expect({ status, output }).toMatchObject({ status: 0 });
      expect(output).toMatch(/FlashInfer's sampling kernel is there after \d+ s/);
      expect(isAsked()).toBe(true);
    });

    test.each([
      ["no GPU is there", 9, ["--engine", "vllm"]],
      ["no engine runs", 0, []],
      ["other nodes have the engine", 0, ["--engine", "vllm", "--ranks", "0 2"]],
    ])("are not asked for where %s", async (_, code, more) => {
      giveFlashInfer("pass");
      giveGpus(code);
      const { status } = await setUp([], { SKYPILOT_SETUP_NODE_RANK: "1" }, more);
      expect(status).toBe(0);
      expect(isAsked()).toBe(false);
    });

    test("are left to the engine where that fails", async () => {
      giveFlashInfer('raise RuntimeError("no nvcc\\nand more")');
      giveGpus(0);
      const { status, output } = await setUp([], {}, ["--engine", "vllm"]);
      expect({ status, output }).toMatchObject({ status: 0 });
      expect(output).toContain("FlashInfer's sampling kernel is left to the engine: RuntimeError: no nvcc\n");
    });

    test("are given up where the set-up fails, which ends at once", async () => {
      giveFlashInfer("import time; time.sleep(100)");
      giveGpus(0);
      const started = Date.now();
      // There is no hub's client to fetch it.
      const { status } = await setUp([], {}, ["--engine", "sglang", "--model", "some/model"]);
      expect(status).not.toBe(0);
      expect(Date.now() - started).toBeLessThan(60_000);
    });
  });

  describe.skipIf(!hasApt)("apt", () => {
    const PROGRAM = "nats-server";
    /** The mirror alone has packages. @returns the environment in which apt asks it. */
    function giveMirror(): { readonly APT_CONFIG: string } {
      mkdirSync(join(packages, "supervisor"));
      writeFileSync(at("sources.list"), `deb [trusted=yes] ${url} ./\n`);
      const settings = {
        "Dir::Etc::SourceList": at("sources.list"),
        "Dir::Etc::SourceParts": "/dev/null",
        "Acquire::Languages": "none",
        "Acquire::Retries": "0",
      };
      const lines = Object.entries(settings).map(([key, value]) => `${key} "${value}";\n`);
      writeFileSync(at("apt.conf"), lines.join(""));
      const { file, entry } = debianPackage(PROGRAM);
      server.now.files.set("/./Packages", Buffer.from(entry));
      server.now.files.set(`/./${PROGRAM}_1_all.deb`, file);
      return { APT_CONFIG: at("apt.conf") };
    }
    const runs = () => execFileSync(at(".dynamo-sky", "bin", PROGRAM), { encoding: "utf8" });

    test("has its lists again where the mirror was busy, after the pause that it asks for", async () => {
      const env = giveMirror();
      busyUntilPause("33");
      const { status, output } = await setUp([PROGRAM], env);
      expect({ status, output }).toMatchObject({ status: 0 });
      expect(runs()).toBe("it runs\n");
      const [pause = 0, ...others] = slept();
      expect(others).toEqual([]);
      expect(pause).toBeGreaterThanOrEqual(33);
    });

    test("has a package again that was cut off", async () => {
      const env = giveMirror();
      server.now.troubles.set(`/./${PROGRAM}_1_all.deb`, ["cut"]);
      const { status, output } = await setUp([PROGRAM], env);
      expect({ status, output }).toMatchObject({ status: 0 });
      expect(runs()).toBe("it runs\n");
      expect(slept()).toHaveLength(1);
    });

    test("ends after four pauses that grow where there is no such package, and says so", async () => {
      const env = giveMirror();
      server.now.files.set("/./Packages", Buffer.from(""));
      const { status, output } = await setUp([PROGRAM], env);
      expect(status).not.toBe(0);
      expect(output).toContain(`apt has no package with ${PROGRAM}: ${PROGRAM}`);
      const pauses = slept();
      expect(pauses).toHaveLength(4);
      for (const [index, least] of [5, 10, 20, 40].entries())
        expect(pauses[index]).toBeGreaterThanOrEqual(least);
    });
  });
});
