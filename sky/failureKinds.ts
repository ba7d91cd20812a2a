/** Kinds of failure, with what to do about each. Data only; `causes.ts` says how each is recognised. */

/** A kind of failure, with its next step. */
interface Kind {
  readonly title: string;
  readonly advice: string;
}

export const FAILURES = {
  certificate: {
    title: "a server shows a certificate that is not trusted",
    advice:
      "Behind a site's proxy or with a private CA, that CA has to be trusted where the lines are from: on this machine by SSL_CERT_FILE, REQUESTS_CA_BUNDLE and NODE_EXTRA_CA_CERTS, on nodes by the image or 'sky.envs'.",
  },
  unreachable: {
    title: "SkyPilot's API server cannot be reached",
    advice:
      "See 'sky api info'. A local server: 'sky api stop', then run this again. A remote one: check SKYPILOT_API_SERVER_ENDPOINT and 'sky api login'.",
  },
  model: {
    title: "the hub does not give the model",
    advice:
      "Check the name. A gated model: accept its licence at the hub, then 'pulumi config set --secret dynamo-sky:huggingFaceToken' with a token of that account.",
  },
  template: {
    title: "the model has no chat template, without which Dynamo's frontend does not take it in",
    advice:
      "If it is a base model, set 'dynamo-sky:task' to completions; if it makes vectors or classes, to embedding or classify.",
  },
  architecture: {
    title: "the engine does not know the model's architecture",
    advice:
      "Use a newer image or version of the engine, or another engine: 'sky.image', 'engine'. A model with code of its own needs 'trustRemoteCode'.",
  },
  setting: {
    title: "the engine refuses a setting",
    advice:
      "Change it in 'engineArgs' or in the setting that it is from; '--help' of the engine lists its flags.",
  },
  gpu: {
    title: "the GPU or its driver cannot do what the engine needs",
    advice:
      "Choose another 'cluster.accelerator', weights of another type or quantization, or an image for the driver that the nodes have.",
  },
  node: {
    title: "a node cannot run the engine",
    advice:
      "Choose nodes that have what is named, or change what asks for it ('cluster.gpusPerNode', 'sky.image', 'sky.rdma'). Kernel and driver: who runs the machine can mend them.",
  },
  program: {
    title: "a program or a library is not on the node",
    advice: "Use an image that has it: 'sky.image'.",
  },
  disk: {
    title: "a disk is full",
    advice: "Raise 'sky.diskSizeGB' (another size makes another cluster), or free space where the lines say.",
  },
  memory: {
    title: "out of memory",
    advice:
      "GPU memory: a larger 'tensorParallel', a shorter context or a smaller share for the cache ('engineArgs'). Memory of a node: 'sky.memory', or for a Kubernetes pod its limit.",
  },
  image: {
    title: "the image cannot be pulled",
    advice:
      "Check 'sky.image'. A private registry needs 'sky.registry' and 'registryPassword' (on Kubernetes a pull secret of the namespace); a registry that limits anonymous pulls needs a login too.",
  },
  file: {
    title: "a file is missing",
    advice:
      "Check its path where the line is from. 'files' copies files of this machine to every node ('{{FILES}}/NAME' is the path there), 'sky.fileMounts' and 'sky.volumes' mount others; a path of a model must exist on every node.",
  },
  privileges: {
    title: "SkyPilot needs root or sudo there, and has neither",
    advice:
      "On Kubernetes set 'sky.config.kubernetes.pod_config.spec.containers[0].securityContext.runAsUser' to 0, or use an image whose user has sudo without a password; on Slurm and ssh machines ask for such a user.",
  },
  pod: {
    title: "a pod ended while SkyPilot set it up",
    advice:
      "'kubectl logs' of the pod that the lines name says why. 'sudo: command not found': its user has to be root or have sudo ('sky.config.kubernetes.pod_config.spec.containers[0].securityContext.runAsUser': 0, or another image).",
  },
  namespace: {
    title: "the namespace does not allow such pods",
    advice:
      "SkyPilot needs root or sudo in its pods: use a namespace without Pod Security's 'restricted' (it is the context's; another context: 'sky.infra: kubernetes/CONTEXT'), or have its administrator allow what the lines name. Limits of a container (LimitRange): 'sky.cpus', 'sky.memory', 'sky.config.kubernetes.pod_config'.",
  },
  slurm: {
    title: "Slurm does not take the job as it is",
    advice:
      "Ask for less ('cluster.nodes', 'cluster.gpusPerNode', 'sky.cpus', 'sky.memory'), or give another account, QOS, time or partition: 'sky.config.slurm.sbatch_options', 'sky.infra: slurm/CLUSTER/PARTITION'. 'sacctmgr show assoc user=$USER' and 'sacctmgr show qos' say what you may.",
  },
  others: {
    title: "Slurm starts the job only after others have done something",
    advice:
      "'squeue' and 'sinfo -R' say who holds what. To wait for them within 'timeouts.provisionMinutes', set 'sky.retryUntilUp' to true; or give another partition, account or QOS.",
  },
  nodes: {
    title: "no node of the Kubernetes cluster takes the pods",
    advice:
      "Taints need a toleration, and labels a selector, in 'sky.config.kubernetes.pod_config.spec'; 'kubectl describe node' shows both.",
  },
  volume: {
    title: "a volume or bucket cannot be had",
    advice:
      "Of Kubernetes 'kubectl describe pvc' and 'kubectl describe pod' say why: name, storage class, access mode. A bucket has to exist, and the cloud's credentials have to be allowed to read it.",
  },
  quota: {
    title: "the account's quota does not allow it",
    advice:
      "Ask the cloud for a higher quota (https://docs.skypilot.co/en/latest/cloud-setup/quota.html), on Kubernetes the namespace's administrator ('kubectl describe quota'), or add another infra to 'sky.infra'.",
  },
  credentials: {
    title: "no access to the cloud",
    advice: "Run 'sky check' and follow what it says about this cloud, then run this again.",
  },
  capacity: {
    title: "no capacity",
    advice:
      "Add more infras to 'sky.infra' for failover, set 'sky.retryUntilUp', ask for fewer nodes, or try again later.",
  },
  invalid: {
    title: "the request cannot be met as it is",
    advice:
      "Change the configuration ('cluster.accelerator', 'cluster.nodes', 'sky.*'); 'sky gpus list' shows what there is.",
  },
  busy: {
    title: "a server asks to come back later",
    advice: "Run this again in some minutes. The hub allows more to who has a token: 'huggingFaceToken'.",
  },
  network: {
    title: "a host cannot be reached",
    advice:
      "Check its name and whether it can be reached from where the lines are from; a site's proxy has to be set there (nodes: 'sky.envs').",
  },
  ends: {
    title: "a program ends with the same error whenever it is started",
    advice: "Change the setting that the line is about; 'bin/dynamo-sky logs' has the lines before it.",
  },
  endpoint: {
    title: "the endpoint's port got no address",
    advice:
      "On Kubernetes SkyPilot makes a load balancer: where 'kubectl get services' shows its EXTERNAL-IP as pending, the cluster has nothing that gives one. Set 'kubernetes.ports' in SkyPilot's own configuration, or 'sky.openEndpoint' to false, and reach the endpoint from the cluster's network.",
  },
  setup: {
    title: "setting up the nodes failed",
    advice: "Repair what the lines say, then run this again: it goes on with the same nodes.",
  },
  run: {
    title: "the task failed",
    advice: "Repair what the lines say, then run this again: it starts the task on the same nodes.",
  },
  timeout: {
    title: "it took too long",
    advice: "Raise 'timeouts.provisionMinutes', or look into what the lines say. The next 'up' starts over.",
  },
  unknown: {
    title: "SkyPilot failed",
    advice: "Read the lines; 'sky status' and 'sky api status' show where SkyPilot stands.",
  },
} as const satisfies Readonly<Record<string, Kind>>;
export type FailureKind = keyof typeof FAILURES;
