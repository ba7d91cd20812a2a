/** Checks of discovery, event plane and ports. */
import { type Problem, settingName } from "../problems";
import { frontendSchema, portsSchema } from "../services";
import type { Known } from ".";

export function controlPlaneChecks(known: Known): Problem[] {
  return [...reachProblems(known), ...portProblems(known)];
}

/** Rejects single-machine settings on several machines. */
function reachProblems({ target, cluster, placement, controlPlane }: Known): Problem[] {
  const isOneMachine = placement === "shared" && cluster?.nodes === 1;
  const isUnknown = placement === undefined || (placement === "shared" && cluster === undefined);
  if (target !== "sky" || controlPlane === undefined || isUnknown || isOneMachine) return [];
  const where = placement === "dedicated" ? "placement dedicated" : `${cluster?.nodes} nodes`;
  const problems: Problem[] = [];
  if (controlPlane.discovery === "file") {
    problems.push({
      path: ["controlPlane", "discovery"],
      message: `"file" is a directory on one machine, and there are several (${where}). Use "etcd" or "auto".`,
    });
  }
  if (controlPlane.events === "zmq") {
    problems.push({
      path: ["controlPlane", "events"],
      message: `"zmq" opens random ports, which may be closed between machines (${where}). Use "nats" or "auto".`,
    });
  }
  return problems;
}

/**
 * Rejects equal ports for two purposes, at the setting that the user changed. Overlapping ranges are avoided
 * when ports are assigned.
 */
function portProblems({ ports, frontend }: Known): Problem[] {
  const all = [...portsOf("frontend", { port: frontend?.port }), ...portsOf("ports", ports ?? {})];
  const usual = new Set([
    ...portsOf("frontend", { port: frontendSchema.parse({}).port }).map(asText),
    ...portsOf("ports", portsSchema.parse({})).map(asText),
  ]);
  const owners = new Map<number, string>();
  const [left, chosen] = [
    all.filter((one) => usual.has(asText(one))),
    all.filter((one) => !usual.has(asText(one))),
  ];
  return [...left, ...chosen].flatMap(({ path, port }): Problem[] => {
    const owner = owners.get(port);
    if (owner === undefined) {
      owners.set(port, settingName(path));
      return [];
    }
    return [{ path, message: `${port} is the port of ${owner} already. Choose another.` }];
  });
}

interface PortSetting {
  readonly path: readonly string[];
  readonly port: number;
}

function portsOf(group: string, ports: Readonly<Record<string, number | undefined>>): PortSetting[] {
  return Object.entries(ports).flatMap(([key, port]) =>
    port === undefined ? [] : [{ path: [group, key], port }],
  );
}

const asText = ({ path, port }: PortSetting) => `${path.join(".")}=${port}`;
