/** How processes find and reach each other: discovery, event plane, ports. */
import { type Problem, settingName } from "../../problems";
import type { Known } from ".";

export function controlPlaneChecks(known: Known): Problem[] {
  return [...reachProblems(known), ...portProblems(known)];
}

/** What works within one machine, asked for on several. */
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
      message: `"zmq" opens random ports, which other machines cannot count on to reach (${where}). Use "nats" or "auto".`,
    });
  }
  return problems;
}

/** The same port for two purposes. That ranges do not run into each other is seen to when ports are handed out. */
function portProblems({ ports, frontend }: Known): Problem[] {
  const all = [
    ...(frontend === undefined ? [] : [{ path: ["frontend", "port"], port: frontend.port }]),
    ...Object.entries(ports ?? {}).map(([key, port]) => ({ path: ["ports", key], port })),
  ];
  const owners = new Map<number, string>();
  return all.flatMap(({ path, port }): Problem[] => {
    const owner = owners.get(port);
    if (owner === undefined) {
      owners.set(port, settingName(path));
      return [];
    }
    return [{ path, message: `${port} is the port of ${owner} already. Choose another.` }];
  });
}
