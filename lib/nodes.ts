/** What is known of clusters and nodes from outside, whatever runs them. */

/** How a process is started on a node. The script comes through its standard input. */
export interface NodeShell {
  readonly command: string;
  /** All arguments, when these are given to the script. */
  readonly args: (forScript: readonly string[]) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The node's directory, as the process there names it. */
  readonly directory: string;
  /** On SkyPilot: by what the node's processes are found, since the directory may be elsewhere. */
  readonly sky?: { readonly cluster: string; readonly rank: number };
}

/** What is known of a cluster from outside of its nodes. */
export interface ClusterState {
  /** SkyPilot's word (`UP`, `INIT`, `STOPPED`); `GONE` where there is no such cluster; on this machine `UP` or `GONE`. */
  readonly status: string;
  /** When it was launched, ISO 8601; undefined where that is not known. */
  readonly since?: string | undefined;
  /** What it is made of, in SkyPilot's words: `2x(gpus=H100:8, …)`. */
  readonly resources?: string | undefined;
  /** The job that was submitted last. */
  readonly job?: { readonly id: number; readonly status: string } | undefined;
  /** US dollars an hour by SkyPilot's own reckoning; undefined where it has none. */
  readonly dollarsPerHour?: number | undefined;
}
