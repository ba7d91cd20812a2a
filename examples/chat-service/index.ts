/**
 * A program of your own that has a Dynamo cluster among its resources, here on this machine and without a
 * GPU.
 */
import * as pulumi from "@pulumi/pulumi";
import { DynamoCluster, type DynamoClusterArgs, observeLocal } from "dynamo-sky";

/** Something of your own that needs the endpoint: the settings of a service that talks to the model. */
class ChatService extends pulumi.ComponentResource {
  /** Environment variables for the service: what OpenAI's clients read, and the model to name. */
  readonly environment: pulumi.Output<{ OPENAI_BASE_URL: string; OPENAI_MODEL: string }>;

  constructor(name: string, cluster: DynamoCluster, opts?: pulumi.ComponentResourceOptions) {
    super("example:index:ChatService", name, {}, opts);
    this.environment = pulumi.all([cluster.endpoint, cluster.model]).apply(([endpoint, model]) => ({
      OPENAI_BASE_URL: `${endpoint}/v1`,
      OPENAI_MODEL: model,
    }));
    this.registerOutputs({ environment: this.environment });
  }
}

export = async () => {
  const settings = new pulumi.Config();
  const prefix = `${pulumi.getProject()}-${pulumi.getStack()}`;
  const cluster = new DynamoCluster("chat", {
    target: "local",
    model: "Qwen/Qwen3-8B",
    engine: "mocker",
    pools: [{ role: "aggregated", replicas: settings.getNumber("replicas") ?? 1 }],
    router: { mode: "round-robin" },
    // No etcd and no NATS: the processes find each other through a directory.
    controlPlane: { discovery: "file" },
    // Other ports than those of this repository's dev stack, so that both can run at once.
    frontend: { port: settings.getNumber("port") ?? 8100 },
    ports: settings.getObject<DynamoClusterArgs["ports"]>("ports") ?? {
      eventsIn: 5650,
      eventsOut: 5651,
      workerSystem: 9150,
      workerRpc: 9350,
    },
    // With these two lines a preview shows what of the cluster was lost, and an update repairs it.
    clusterPrefix: prefix,
    observed: await observeLocal(prefix),
  });
  const service = new ChatService("assistant", cluster);
  return { endpoint: cluster.endpoint, chat: cluster.chat, environment: service.environment };
};
