import type { DeploymentConfig } from "./config";
import type { PlanFacts } from "./context";

/**
 * What `auto` means for the control plane; `config/services.ts` documents it.
 * @param servicesObtainable Whether this machine has etcd and NATS or can install them; asked for target local only.
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
