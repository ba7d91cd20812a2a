/**
 * Known causes of failures of SkyPilot, clouds, Slurm, Kubernetes and nodes: the text that identifies each,
 * and its kind (`failureKinds.ts`), which has the next step. Data only: `failure.ts` classifies failures by
 * it, and the table in docs/troubleshooting.md is generated from it.
 */

import type { FailureKind } from "./failureKinds";

/** How a kind is recognised. */
export interface Cause {
  readonly kind: FailureKind;
  /**
   * Whether to match it against logs of nodes and the task too, which hold output of any program. Default:
   * only SkyPilot's own output.
   */
  readonly onNodes?: true;
  /**
   * Set where waiting cannot help: after how many starts in a row that ended with it the wait for a program
   * is given up. More where what else is on the node has a part in it. 0: the program does not end, and to
   * say it is enough. Default: a later start may succeed.
   */
  readonly finalAfter?: number;
  readonly pattern: RegExp;
  /** Typical messages, for the documentation. */
  readonly words: string;
}

/**
 * Most specific first: a missing quota is also reported as missing resources, and so is an impossible
 * request. SkyPilot's exceptions are in `sky/exceptions.py`; the clouds' error codes are passed on by
 * `sky/provision/*` and `FailoverCloudErrorHandler`.
 */
export const CAUSES: readonly Cause[] = [
  {
    kind: "certificate",
    onNodes: true,
    finalAfter: 3,
    words: "`CERTIFICATE_VERIFY_FAILED`, `self-signed certificate`, `x509: certificate`",
    pattern:
      /CERTIFICATE_VERIFY_FAILED|certificate verify failed|SSLCertVerificationError|self[- ]signed certificate|unable to get (local )?issuer certificate|x509: certificate/i,
  },
  {
    kind: "unreachable",
    words: "`ApiServerConnectionError`, `Could not connect to SkyPilot API server`",
    // The last alternative is what `sky api …` prints; it is the wording of its HTTP library. The hub's API
    // has such a path too.
    pattern:
      /ApiServer(Connection|Authentication)Error|Could not connect to SkyPilot API server|APIVersionMismatchError|ServerTemporarilyUnavailableError|ConnectionPool\((?!host='(huggingface\.co|hf\.co)')[^)]*\).*with url: \/api\/(?!models|datasets|spaces|whoami|resolve)/,
  },
  {
    kind: "model",
    onNodes: true,
    finalAfter: 2,
    words:
      "`GatedRepoError`, `Access to model … is restricted`, `RepositoryNotFoundError`, `RevisionNotFoundError`",
    pattern:
      /GatedRepo|gated repo|Access to model \S+ is restricted|is not a local folder and is not a valid model identifier|(Repository|Revision)NotFoundError|(Repository|Revision) Not Found for url|could not be fetched \(attempt \d+\): .*\b40[134]\b|(401|403) Client Error.*(huggingface\.co|hf\.co|\/resolve\/)/i,
  },
  {
    kind: "template",
    onNodes: true,
    finalAfter: 0,
    words: "`chat_template field is required`",
    // https://github.com/ai-dynamo/dynamo/blob/v1.6.1/lib/llm/src/preprocessor/prompt/template.rs
    pattern: /chat_template field is required/,
  },
  {
    kind: "architecture",
    onNodes: true,
    finalAfter: 2,
    words:
      "`does not recognize this architecture`, `Model architectures … are not supported`, `allow custom code to be run`",
    // In this order: Transformers, vLLM, SGLang, TensorRT-LLM; the last is for a model's own code.
    pattern:
      /does not recognize this architecture|Model architectures .{0,200}(are not supported|failed to be inspected)|has no (SGLang|vLLM) implementation|Unknown architecture for \w+|allow custom code to be run/i,
  },
  {
    kind: "setting",
    onNodes: true,
    finalAfter: 2,
    words: "`error: unrecognized arguments`, `: invalid choice`, `is greater than the derived max_model_len`",
    // Those of argparse, in which all three engines and Dynamo's components read their flags, and vLLM's.
    pattern:
      /\berror: (unrecognized arguments|ambiguous option: |the following arguments are required: |argument \S+: )|: invalid choice|is greater than the derived max_model_len|must be divisible by (the )?tensor parallel size/,
  },
  {
    kind: "node",
    onNodes: true,
    finalAfter: 0,
    words: "`node check, problem: …`",
    // `runtime/node_check.py`.
    pattern: /node check, problem: /,
  },
  {
    kind: "gpu",
    onNodes: true,
    finalAfter: 2,
    words:
      "`no kernel image is available for execution on the device`, `CUDA driver version is insufficient`",
    pattern:
      /no kernel image is available for execution|unsatisfied condition: cuda|could not select device driver|CUDA driver version is insufficient|NVIDIA driver on your system is too old|Minimum capability: \d+/i,
  },
  {
    kind: "program",
    onNodes: true,
    finalAfter: 2,
    words: "`no such program on this node's PATH`, `ModuleNotFoundError: No module named`",
    pattern: /no such program on this node's PATH|ModuleNotFoundError: No module named/,
  },
  {
    kind: "disk",
    onNodes: true,
    finalAfter: 3,
    words: "`No space left on device`, `Disk quota exceeded`, `low on resource: ephemeral-storage`",
    pattern:
      /No space left on device|\bENOSPC\b|Disk quota exceeded|low on resource: ephemeral-storage|ephemeral local storage usage exceeds|Not enough free disk space|Requested disk size cannot be smaller/i,
  },
  {
    kind: "memory",
    onNodes: true,
    finalAfter: 3,
    words: "`CUDA out of memory`, `OOMKilled`, `oom_kill`, `bash: line 647: 249 Killed`",
    // The last one is what bash says of a program that a limit of memory has ended: with control groups v1 it
    // is the only trace of it, since the pod runs on.
    pattern:
      /(CUDA|HIP|GPU)( error:)? out of memory|torch\.(cuda\.)?OutOfMemoryError|\bOOMKilled\b|\boom[-_]kill|CUDA_ERROR_OUT_OF_MEMORY|Cannot allocate memory|No available memory for the cache blocks|Free memory on device .* less than desired|leave no GPU memory|Not enough memory\. Please try|\bline \d+: +\d+ Killed\b/i,
  },
  {
    kind: "image",
    onNodes: true,
    words: "`ErrImagePull`, `ImagePullBackOff`, `manifest unknown`, `pull access denied`, `toomanyrequests`",
    pattern:
      /ErrImage\w*|ImagePullBackOff|ImageInspectError|InvalidImageName|RegistryUnavailable|Failed to pull image|pull access denied|manifest (for \S+ )?(unknown|not found)|toomanyrequests|error pulling image|Back-off pulling image|failed to resolve reference|unauthorized: authentication required|no basic auth credentials|pyxis: failed to import docker image/i,
  },
  {
    kind: "privileges",
    onNodes: true,
    words: "`Insufficient system privileges`, `sudo: command not found`, `sudo: a password is required`",
    pattern:
      /Insufficient system privileges|sudo: (command )?not found|sudo: a password is required|a terminal is required to read the password|no tty present and no askpass program|is not in the sudoers file/i,
  },
  {
    kind: "pod",
    onNodes: true,
    words:
      "`cannot exec into a container in a completed pod`, `unable to upgrade connection: container not found`, `failed to load task: no running task found`",
    // Seen of an image whose user has no sudo, by how far its end has come: SkyPilot does not read its log.
    // The last ones are what containerd, runc and CRI-O say of a container that has ended.
    pattern:
      /Pod \S+ terminated: Error|cannot exec into a container in a completed pod|unable to upgrade connection: container not found|failed to load task: no running task found|error executing command in container: .*(container is in CONTAINER_EXITED state|cannot exec (in a stopped|a container that has stopped)|container is not created or running)/,
  },
  {
    kind: "namespace",
    words:
      "`violates PodSecurity`, `admission webhook … denied the request`, `maximum cpu usage per Container`, `must be less than or equal to memory limit`",
    // The last one is of a LimitRange that gives a container its limit. Of the API server's admission:
    // https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
    pattern:
      /violates PodSecurity|must not set runAsUser=0|attempting to run as (a )?root|admission webhook \S+ denied|denied the request: |(minimum|maximum) \S+ usage per (Container|Pod)|must be less than or equal to \S+ limit/i,
  },
  {
    kind: "slurm",
    onNodes: true,
    words:
      "`Invalid account or account/partition combination specified`, `Invalid qos specification`, `Job violates accounting/QOS policy`",
    // Messages of sbatch, from `slurm_errno.c`:
    // https://github.com/SchedMD/slurm/blob/master/src/common/slurm_errno.c
    pattern:
      /Invalid account or account\/partition|Invalid qos specification|Job violates accounting\/QOS policy|group not permitted to use this partition|Access denied to requested reservation|Requested reservation is invalid|Requested time limit is invalid|Requested node configuration is not available|Requested nodes not in this partition|More processors requested than permitted|Node count specification invalid|CPU count specification invalid|Memory required by task is not available|Required partition not available|Required node not available|Invalid (partition name|feature|license|wckey|node name|generic resource)[^.]* specif|breached requested QOS usage threshold|sbatch: error: .*(invalid|unrecognized|denied)|sbatch: error: (QOS|Assoc)\w+|Requested GRES option unsupported|Job submit\/allocate failed/i,
  },
  {
    kind: "volume",
    onNodes: true,
    words: "`FailedMount`, `FailedAttachVolume`, `unbound immediate PersistentVolumeClaims`",
    pattern:
      /\bFailedMount\b|\bFailedAttachVolume\b|failed to attach or mount volumes|unbound immediate PersistentVolumeClaims|Volume(NotReady|NotFound|TopologyConflict)Error|Not able to access the volume|PVC with name|Multiple PVCs found|No storage class specified|Volume \S+ with access mode|could not be mounted on cluster|\bStorage(Bucket\w+|Upload|Source|Spec|Init|External\w+)?Error/i,
  },
  {
    kind: "nodes",
    onNodes: true,
    words: "`untolerated taint`, `didn't match Pod's node affinity/selector`",
    // If GPUs are missing too, that is the cause: nodes without GPUs are often tainted.
    pattern:
      /^(?!.*Insufficient ).*(untolerated taint|that the pod didn't tolerate|didn't match Pod's node affinity|didn't satisfy existing pods anti-affinity|node\(s\) were unschedulable)/i,
  },
  {
    kind: "quota",
    words: "`quota`, `VcpuLimitExceeded`, `QUOTA_EXCEEDED`",
    pattern:
      /(?<![\w-])quotas?(?![\w-])|(?:QUOTA_EXCEEDED|quotaExceeded|QuotaFailure|QuotaExceeded)|VcpuLimitExceeded|current vCPU limit of \d+|InstanceLimitExceeded|MaxSpotInstanceCountExceeded|(?<!Request)LimitExceeded\b|(exceed|beyond).{0,40}(approved|service limit)/i,
  },
  {
    kind: "credentials",
    words:
      "`is not enabled`, `AuthFailure`, `UnauthorizedOperation`, `ExpiredToken`, `IAM_PERMISSION_DENIED`, `AuthorizationFailed`",
    pattern:
      /is not enabled|are not enabled|No cloud (access|is enabled)|NoCloudAccessError|CloudUserIdentityError|ClusterOwnerIdentityMismatchError|InvalidCloudCredentials|invalid cloud credentials|AuthFailure|UnauthorizedOperation|AccessDenied|PermissionDenied|PERMISSION_DENIED|Policy update access denied|AuthorizationFailed|ClientAuthenticationError|ReadOnlyDisabledSubscription|OptInRequired|InvalidClientTokenId|SignatureDoesNotMatch|ExpiredToken|RequestExpired|session has expired|expired token|token is expired|invalid_grant|AADSTS\d+|is not found or access is unauthorized|API key is invalid|credentials? (are|is|not|have|could not)|cannot create resource ".*" in API group|is forbidden: User/i,
  },
  {
    kind: "capacity",
    words:
      "`InsufficientInstanceCapacity`, `ZONE_RESOURCE_POOL_EXHAUSTED`, `SkuNotAvailable`, `Insufficient nvidia.com/gpu`",
    pattern:
      /InsufficientInstanceCapacity|InsufficientCapacity|insufficient-?capacity|UnfulfillableCapacity|ReservationCapacityExceeded|InsufficientReservedInstanceCapacity|SpotMaxPriceTooLow|RESOURCE_POOL_EXHAUSTED|RESOURCE_EXHAUSTED|RESOURCE_NOT_READY|SkuNotAvailable|(Zonal)?AllocationFailed|Overconstrained(Zonal)?AllocationRequest|Out of host capacity|NotEnoughResources|no longer any instances available|no more capacity|does not have enough resources available|not enough capacity|Insufficient reserved capacity|due to (to )?capacity issue|Insufficient (nvidia|amd|cpu|memory|ephemeral|resource capacity|\S+ capacity)|out of (capacity|stock)/i,
  },
  {
    kind: "invalid",
    words: "`Catalog does not contain`, `did you mean`, `InvalidSkyPilotConfigError`",
    pattern:
      /InvalidSkyPilotConfigError|Catalog does not contain|No resource satisfying|ResourcesMismatchError|NotSupportedError|APINotSupportedError|ProvisionUnsupportedError|InvalidClusterNameError|UserRequestRejectedByPolicy|InvalidCloudConfigs|invalid cloud config|KubernetesValidationError|do not match the existing cluster|but the existing cluster|No GPU nodes matching|Could not find any node in the|Unknown field `|match the allowed_nodes filter|Kubernetes context \S+ not found|No default VPC found|Multiple default VPCs|(No|Multiple) VNets? with name|Invalid VPC name|VPC_NOT_FOUND|SUBNET_NOT_FOUND_FOR_VPC|Invalid slurm\.sbatch_options|Partition info for \S+ not found|Ingress controller not found|Invalid .*(YAML|resources)|configuration is not available|UNSUPPORTED_OPERATION|\(Unsupported\)|InvalidParameterValue|InvalidAMIID|did you mean|ValueError|\bUsage: sky/i,
  },
  {
    kind: "busy",
    onNodes: true,
    words: "`429 Client Error`, `Too Many Requests`, `RequestLimitExceeded`, `SlowDown`",
    // The last ones are the buckets' of AWS, Azure and Google.
    pattern:
      /429 (Client Error|Too Many)|Too Many Requests|RequestLimitExceeded|rate limited|RATE_EXCEEDED|\bSlowDown\b|reduce your request rate|\bServerBusy\b|ServiceException: (429|503)/i,
  },
  {
    kind: "network",
    onNodes: true,
    words:
      "`Could not resolve host`, `Name or service not known`, `Failed to SSH to`, `KubeAPIUnreachableError`",
    pattern:
      /Could not resolve host|Temporary failure (in name resolution|resolving)|Unable to connect to proxy|couldn't connect to 'https:|LocalEntryNotFoundError|Name or service not known|getaddrinfo failed|Network is unreachable|No route to host|Failed to SSH to|Permission denied \(publickey|Host key verification failed|KubeAPIUnreachableError|Lost connectivity to the Kubernetes API|trying to get SkyPilot pods|check if the cluster is healthy|Failed to resolve hostnames|\bNetworkError\b/i,
  },
  {
    kind: "file",
    onNodes: true,
    finalAfter: 2,
    words: "`does not appear to have a file named`",
    pattern: /does not appear to have a file named/,
  },
  {
    kind: "file",
    onNodes: true,
    // Not final: a temporary file may be away for a moment, and a file system be mounted late.
    words: "`FileNotFoundError`",
    pattern: /FileNotFoundError|No such file or directory: '/,
  },
  {
    kind: "setup",
    words: "`ClusterSetUpError`, `Failed to set up SkyPilot runtime`",
    pattern:
      /ClusterSetUpError|Failed to set up|Failed to setup|setup failed|ProvisionPrechecksError|Skylet(Internal|Unavailable)Error|Failed to start (ray|skylet)|stuck on the same condition|has not started running after|init container for pod|Failed to wait for instances/i,
  },
  {
    kind: "capacity",
    words: "`ResourcesUnavailableError`, `Failed to acquire resources`",
    pattern:
      /ResourcesUnavailableError|EXHAUSTED|Failed to (acquire|provision)|\(pending: |Timed out .*(job|allocat|provision|nodes to start)|did not get nodes allocated/i,
  },
];
