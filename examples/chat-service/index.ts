/** A program of your own that has a Dynamo cluster among its resources, here on this machine and without a GPU. */
import * as pulumi from "@pulumi/pulumi";
import { DynamoCluster } from "dynamo-sky";

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

// Ports can be set with `pulumi config set port …`; the default is beside the one of the dev stack.
const settings = new pulumi.Config();

const cluster = new DynamoCluster("chat", {
  target: "local",
  model: "Qwen/Qwen3-8B",
  engine: "mocker",
  pools: [{ role: "aggregated", replicas: 1 }],
  router: { mode: "round-robin" },
  // No etcd and no NATS: the processes find each other through a directory.
  controlPlane: { discovery: "file" },
  frontend: { port: settings.getNumber("port") ?? 8100 },
  ports: {
    workerSystem: settings.getNumber("workerSystemPort") ?? 9150,
    workerRpc: settings.getNumber("workerRpcPort") ?? 9450,
  },
});

const service = new ChatService("assistant", cluster);

export const endpoint = cluster.endpoint;
export const chat = cluster.chat;
export const environment = service.environment;
