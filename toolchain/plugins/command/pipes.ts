/**
 * Standard streams of a child process.
 *
 * Node connects children by sockets, which cannot be opened by name, so in a command `tee /dev/stderr`, `echo
 * … > /dev/stdout` and `jq . /dev/stdin` would fail, although they work with the official plugin. Node has no
 * `pipe(2)`; for output, a FIFO that is opened at both ends and then unlinked is equivalent. For input it is
 * not: opening it by name would wait for a writer that has already finished. Input is therefore an unlinked
 * file.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, existsSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The descriptors for a child, and this process's ends of its output. */
export interface Channels {
  /** stdin, stdout and stderr for `spawn`. */
  readonly stdio: (number | "ignore")[];
  readonly stdout: Socket;
  readonly stderr: Socket;
  /**
   * Closes the child's ends in this process; necessary after the spawn, or the end of the output is never
   * seen.
   */
  releaseChildEnds(): void;
}

/**
 * Opens a child's channels.
 *
 * @param stdin The child's input; undefined or "" for none.
 * @throws if the system cannot create FIFOs or files in its temporary directory.
 */
export function openChannels(stdin: string | undefined): Channels {
  // In memory if possible: input may be secret, and should not be written to a disk.
  const parent = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();
  const directory = mkdtempSync(join(parent, "pulumi-command-"));
  try {
    const [stdoutPath, stderrPath, stdinPath] = ["1", "2", "0"].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    execFileSync("mkfifo", ["-m", "600", stdoutPath, stderrPath], { stdio: "ignore" });
    const stdout = openPipe(stdoutPath);
    const stderr = openPipe(stderrPath);
    const input = stdin ? openInput(stdinPath, stdin) : undefined;
    return {
      stdio: [input ?? "ignore", stdout.childFd, stderr.childFd],
      stdout: stdout.near,
      stderr: stderr.near,
      releaseChildEnds: () => {
        for (const fd of [input, stdout.childFd, stderr.childFd]) if (fd !== undefined) closeSync(fd);
      },
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function openPipe(path: string): { near: Socket; childFd: number } {
  // Opening one end blocks until the other is open: hence the read-write descriptor.
  const both = openSync(path, constants.O_RDWR);
  const nearFd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const childFd = openSync(path, constants.O_WRONLY);
  closeSync(both);
  return { near: new Socket({ fd: nearFd, readable: true, writable: false }), childFd };
}

function openInput(path: string, text: string): number {
  const writer = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
  const reader = openSync(path, constants.O_RDONLY);
  rmSync(path);
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) written += writeSync(writer, bytes, written);
  closeSync(writer);
  return reader;
}
