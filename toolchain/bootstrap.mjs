// Runs a tool of this repository on a machine that has nothing but Node and npm:
//
//   node toolchain/bootstrap.mjs <tool> [arguments]     runs dev/<tool>.ts, or cli/main.ts for dynamo-sky
//
// It installs the npm packages when they are missing or older than package-lock.json, then starts the tool on
// the Node that package.json pins (node_modules/.bin/node), which is newer than the one many machines have.
// Plain JavaScript without a dependency, because it runs before there are any.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants, homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const node = join(modules, ".bin", "node");
/** Holds the hash of the package-lock.json that node_modules was installed from. */
const stamp = join(modules, ".installed-from");
const cache =
  process.env.DYNAMO_SKY_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "dynamo-sky");
const lockWaitMs = 15 * 60_000;

const say = (text) => process.stderr.write(`${text}\n`);
function fail(text) {
  say(text);
  process.exit(2);
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

/** Runs `work` alone among all bootstraps of this checkout; the lock of a process that died is taken over. */
async function withLock(work) {
  const lock = join(cache, "locks", `npm-${createHash("sha256").update(root).digest("hex").slice(0, 16)}`);
  mkdirSync(dirname(lock), { recursive: true });
  const deadline = Date.now() + lockWaitMs;
  for (let told = false; ; ) {
    try {
      writeFileSync(lock, String(process.pid), { flag: "wx" });
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const holder = existsSync(lock) ? Number(readFileSync(lock, "utf8")) : 0;
    if (holder > 0 && !isAlive(holder)) rmSync(lock, { force: true });
    if (holder > 0 && isAlive(holder) && !told) {
      say(
        `Another process (pid ${holder}) is installing the npm packages; waiting up to ${lockWaitMs / 60_000} minutes.`,
      );
      told = true;
    }
    if (Date.now() > deadline)
      fail(`Gave up waiting for process ${holder}. If it is not at work, remove ${lock}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  try {
    return work();
  } finally {
    rmSync(lock, { force: true });
  }
}

/** What package-lock.json asks for and npm's own record in node_modules says is there. */
function matchesLock(lockText) {
  const record = join(modules, ".package-lock.json");
  if (!existsSync(record)) return false;
  const wanted = JSON.parse(lockText).packages;
  const present = JSON.parse(readFileSync(record, "utf8")).packages;
  const missing = (path) => !wanted[path].optional && present[path]?.version !== wanted[path].version;
  return !Object.keys(wanted).some((path) => path !== "" && missing(path));
}

/** True when node_modules is what package-lock.json says; leaves the stamp that makes the next look quick. */
function isInstalled() {
  const lockText = readFileSync(join(root, "package-lock.json"), "utf8");
  const hash = createHash("sha256").update(lockText).digest("hex");
  if (!existsSync(node)) return false;
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === hash) return true;
  if (!matchesLock(lockText)) return false;
  writeFileSync(stamp, hash);
  return true;
}

function npmCi() {
  if (isInstalled()) return;
  const started = Date.now();
  say(
    `Installing the npm packages of package-lock.json into ${modules} (npm ci, under a minute on most networks)…`,
  );
  // The error level hides that packages ask for a newer Node than the one npm runs on: they run on
  // node_modules/.bin/node.
  const args = [
    "ci",
    "--loglevel=error",
    "--no-audit",
    "--no-fund",
    "--include=dev",
    "--ignore-scripts=false",
  ];
  const result = spawnSync("npm", args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 });
  if (result.error)
    fail(
      `npm could not be started (${result.error.message}). Install Node ≥ 20 with npm, then run this again.`,
    );
  if (result.status !== 0)
    fail(
      `${result.stdout}${result.stderr}\nnpm ci failed in ${root}; its output is above. Run this again when the cause is gone.`,
    );
  if (!isInstalled())
    fail(
      `npm ci ended well, but ${node} or some packages are missing. Remove ${modules} and run this again.`,
    );
  say(`npm packages installed in ${((Date.now() - started) / 1000).toFixed(1)} s.`);
}

const [tool, ...args] = process.argv.slice(2);
const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const tools = Object.values(scripts).flatMap(
  (script) => /^node toolchain\/bootstrap\.mjs (\S+)/.exec(script)?.[1] ?? [],
);
if (!tools.includes(tool))
  fail(`Usage: node toolchain/bootstrap.mjs <tool> [arguments]\nTools: ${tools.join(", ")}`);
if (Number(process.versions.node.split(".")[0]) < 20)
  fail(`Node ≥ 20 is needed; this is ${process.version}.`);
if (!isInstalled()) await withLock(npmCi);

// tsx for CommonJS alone, which all of this is: for ES modules it starts a thread besides.
const preloads = ["--require", "tsx/cjs", "--require", join(root, "lib", "bypassProxies.ts")];
const file = tool === "dynamo-sky" ? join(root, "cli", "main.ts") : join(root, "dev", `${tool}.ts`);
const child = spawn(node, [...preloads, file, ...args], {
  stdio: "inherit",
  env: {
    ...process.env,
    PATH: `${join(modules, ".bin")}${delimiter}${process.env.PATH}`,
    // Makes fetch use HTTPS_PROXY and its like, as every other program that is run does.
    NODE_USE_ENV_PROXY: process.env.NODE_USE_ENV_PROXY ?? "1",
    // Node keeps its compiled form of large packages there.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(cache, "node-compile"),
    // tsx is looked up from the working directory, so that is the repository; a user's relative paths are
    // meant from here.
    DYNAMO_SKY_CALLED_FROM: process.env.INIT_CWD || process.cwd(),
  },
  cwd: root,
});
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  // A terminal sends Ctrl-C to the child too; a second one would read as "stop at once".
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
// npm passes a signal to its shell, which dies of it and tells nobody: then this process has another parent.
const parent = process.ppid;
setInterval(() => {
  if (process.ppid === parent) return;
  say("The process that started this one is gone: stopping.");
  child.kill("SIGTERM");
}, 1000).unref();
child.on("error", (error) => fail(`${node} could not be started: ${error.message}`));
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
