import type { DeploymentConfig } from "../config/deployment";
import type { PlanFacts } from "./context";

/**
 * Resolves `auto` of the control plane; documented in `config/services.ts`.
 * @param servicesObtainable Whether this machine has etcd and NATS or can install them; only called for
 * target local.
 */
export function factsOf(
  { target, controlPlane }: Pick<DeploymentConfig, "target" | "controlPlane">,
  servicesObtainable: () => boolean,
): PlanFacts {
  const automatic = () => (target === "sky" || servicesObtainable() ? "etcd" : "file");
  const discovery = controlPlane.discovery === "auto" ? automatic() : controlPlane.discovery;
  const carrier = discovery === "etcd" ? "nats" : "zmq";
  return { discovery, events: controlPlane.events === "auto" ? carrier : controlPlane.events };
}
