/** Observed state of clusters and nodes, independent of what runs them. */

/** How to start a process on a node. The script is passed on its standard input. */
export interface NodeShell {
  readonly command: string;
  /** All arguments, from those of the script. */
  readonly args: (forScript: readonly string[]) => readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** The node's directory, as seen by the process. */
  readonly directory: string;
  /** On SkyPilot: how to find the node's processes, since the directory may be elsewhere. */
  readonly sky?: { readonly cluster: string; readonly rank: number };
  /** The error for a script that did not run, or failed, from its last line. Default: that line. */
  readonly failure?: (said: string) => Error;
}

/** State of a cluster, observed from outside of its nodes. */
export interface ClusterState {
  /**
   * SkyPilot's status (`UP`, `INIT`, `STOPPED`); `GONE` if there is no such cluster; on this machine `UP` or
   * `GONE`.
   */
  readonly status: string;
  /** Why it was up and is so no more, where SkyPilot says so. */
  readonly reason?: string | undefined;
  /** Time of its launch, ISO 8601; undefined if unknown. */
  readonly since?: string | undefined;
  /** Its resources in SkyPilot's notation: `2x(gpus=H100:8, …)`. */
  readonly resources?: string | undefined;
  /** Whether its machines are spot instances; undefined if unknown. */
  readonly spot?: boolean | undefined;
  /** The job submitted last. */
  readonly job?: { readonly id: number; readonly status: string } | undefined;
  /** US dollars an hour by SkyPilot; undefined if unknown. */
  readonly dollarsPerHour?: number | undefined;
}
