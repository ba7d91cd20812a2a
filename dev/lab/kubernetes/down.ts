/** `lab down --kubernetes`: removes everything that `up` created, whatever state it is in. */
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "../../../lib/errors";
import { poll } from "../../../lib/poll";
import { isGone } from "../../../lib/procfs";
import type { Progress } from "../../../lib/progress";
import { cacheDir } from "../../../toolchain";
import { KUBERNETES_LAB } from "../../../toolchain/kubernetesLabLayout";
import { skyPilotFiles } from "../down";
import { endProcesses } from "../processes";
import { installedRecord } from "../system";
import { kubernetesProcesses, kubernetesTraces, removeControlGroups } from "./traces";

/** The kernel ends a network, and control groups, some time after their last process. */
const KERNEL_SECONDS = 30;

/** @throws UserError that names what is left, if anything is. */
export async function kubernetesDown(progress: Progress, signal: AbortSignal): Promise<void> {
  const { root, home } = KUBERNETES_LAB;
  const wasThere = existsSync(root);
  // A shim that ends before what is in its container leaves that without a trace to the lab.
  const seen = new Set<number>();
  const all = (): number[] => {
    for (const pid of kubernetesProcesses()) seen.add(pid);
    return [...seen].filter((pid) => !isGone(pid));
  };
  await endProcesses(all, progress, signal);
  const packages = installedRecord(root);
  const files = [...skyPilotFiles([home]), root];
  const missing = await poll({
    timeoutSeconds: KERNEL_SECONDS,
    progress,
    signal,
    check: async () => {
      removeControlGroups();
      const left = kubernetesTraces().filter((line) => line !== `directory ${root}`);
      return left.length === 0 ? undefined : `these to end:\n  ${left.join("\n  ")}`;
    },
  });
  if (missing !== undefined)
    throw new UserError(
      `The lab's Kubernetes is not down. Waited for ${missing}\nEnd them, then run it again.`,
    );
  for (const path of files) rmSync(path, { recursive: true, force: true });
  if (wasThere)
    progress.line(`removed ${root}; no process, mount, network interface or control group of it is left`);
  if (packages.length > 0)
    progress.line(`packages that it installed stay; to remove them: apt-get remove ${packages.join(" ")}`);
  if (wasThere)
    progress.line(`its programs and its image stay in the cache: ${join(cacheDir(), "kubernetes-*")}`);
}
