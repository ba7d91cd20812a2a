/**
 * Real pipes for a child process.
 *
 * Node connects children by sockets. A socket cannot be opened by name, so in a command `tee /dev/stderr`,
 * `echo … > /dev/stdout` and `jq . /dev/stdin` would fail, which work under the official plugin. Node has no
 * `pipe(2)`; a FIFO that is opened at both ends and then unlinked is the same thing.
 */
import { execFileSync } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** One pipe between this process and a child. */
export interface Pipe {
  /** This process's end. */
  readonly near: Socket;
  /** The child's end, a blocking descriptor to be given to `spawn`. */
  readonly childFd: number;
  /** Closes the child's end in this process; needed after the spawn, or the end of the data is never seen. */
  releaseChildEnd(): void;
}

/** Which way the data goes, seen from the child. */
export type Direction = "into child" | "out of child";

/**
 * Opens one pipe for each direction asked for.
 *
 * @throws when the system cannot make FIFOs in its temporary directory.
 */
export function openPipes(directions: readonly Direction[]): Pipe[] {
  const directory = mkdtempSync(join(tmpdir(), "pulumi-command-"));
  try {
    const paths = directions.map((_, index) => join(directory, String(index)));
    execFileSync("mkfifo", ["-m", "600", ...paths], { stdio: "ignore" });
    return directions.map((direction, index) => openPipe(paths[index] ?? "", direction));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function openPipe(path: string, direction: Direction): Pipe {
  const incoming = direction === "out of child";
  // Opening one end waits for the other, unless it is open already: hence the one that is both.
  const both = openSync(path, constants.O_RDWR);
  const nearFd = openSync(path, (incoming ? constants.O_RDONLY : constants.O_WRONLY) | constants.O_NONBLOCK);
  const childFd = openSync(path, incoming ? constants.O_WRONLY : constants.O_RDONLY);
  closeSync(both);
  const near = new Socket({ fd: nearFd, readable: incoming, writable: !incoming, allowHalfOpen: true });
  return { near, childFd, releaseChildEnd: () => closeSync(childFd) };
}
