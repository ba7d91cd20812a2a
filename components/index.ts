/** The components, for use in other Pulumi programs. */
export { type ClusterCost, costLine, type DeploymentCost } from "../plan/cost";
export { type Unit, type UnitNode, unitsOf } from "../plan/units";
export { ApiKeys, type ApiKeysArgs } from "./apiKeys";
export type { ClusterHost, PlacedUnit, UnitRun } from "./clusterHost";
export { ControlPlane } from "./controlPlane";
export { checkedConfig, type DynamoClusterArgs } from "./deployment";
export { DynamoCluster } from "./dynamoCluster";
export { Frontend } from "./frontend";
export { LocalCluster, type LocalClusterArgs } from "./localCluster";
export { type Observation, observeLocal } from "./observation";
export { Readiness, type ReadinessArgs } from "./readiness";
export type { LocalRepairs } from "./repair";
export type { RoleArgs } from "./role";
export { Router, type RouterArgs } from "./router";
export { SkyCluster, type SkyClusterArgs } from "./skyCluster";
export { observeSky, type SkyObservation } from "./skyRepair";
export { type ClusterTopology, type DeploymentSummary, KEY_VARIABLE } from "./topology";
export { DecodeWorkers, EncodeWorkers, PrefillWorkers, Workers } from "./workers";
