/** Each known cause with a real message, and no false positives on normal output. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CAUSES_FILE, renderCauses } from "../../dev/causeReference";
import { packageRoot } from "../../lib/root";
import { CAUSES } from "../../sky/causes";
import {
  causeOnNodes,
  classify,
  explained,
  failureMessage,
  finalCause,
  recentCause,
} from "../../sky/failure";
import { FAILURES, type FailureKind } from "../../sky/failureKinds";

const PRINTED: readonly (readonly [FailureKind, string])[] = [
  [
    "image",
    'sky.provision.kubernetes.config.KubernetesError: ErrImagePull: failed to pull and unpack image "nvcr.io/nvidia/ai-dynamo/vllm-runtime:9": not found',
  ],
  ["image", 'ImagePullBackOff: Back-off pulling image "nvcr.io/x/y:1"'],
  [
    "image",
    "Error response from daemon: manifest for ubuntu:nope not found: manifest unknown: manifest unknown",
  ],
  [
    "image",
    "Error response from daemon: pull access denied for x/y, repository does not exist or may require 'docker login'",
  ],
  ["image", 'Back-off pulling image "nvcr.io/nvidia/ai-dynamo/sglang-runtime:1.6.1"'],
  ["image", 'failed to resolve reference "nvcr.io/x/y:1": failed to authorize: unexpected status: 401'],
  ["image", 'Error response from daemon: Head "https://nvcr.io/v2/x": unauthorized: authentication required'],
  [
    "namespace",
    'pods "sky-x-head" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0 (pod must not set runAsUser=0)',
  ],
  [
    "pod",
    "I 11-30 11:04:05.441 PID=16784 instance_setup.py:326] Pod kubeuser-test-main-pxih81-fcd1e5cf-head terminated: Error (exit code 1).",
  ],
  [
    "pod",
    'D 11-30 14:54:21.982 PID=20269 provisioner.py:950] Output: error: Internal error occurred: unable to upgrade connection: container not found ("ray-node")',
  ],
  [
    "pod",
    "D 11-30 19:10:25.864 PID=20320 provisioner.py:950] Output: error: Internal error occurred: Internal error occurred: error executing command in container: failed to exec in container: failed to load task: no running task found: task 6065e58c09158eb02332fdd91431cec42ecb44e19916b8f66dfbc97da8403eb5 not found: not found",
  ],
  ["namespace", "denied the request: [psp-root] Container ray-node is attempting to run as root"],
  ["privileges", "sudo: no tty present and no askpass program specified"],
  ["slurm", "sbatch: error: QOSMaxSubmitJobPerUserLimit"],
  [
    "slurm",
    "sbatch: error: Batch job submission failed: Requested GRES option unsupported by configured SelectType plugin",
  ],
  ["nodes", "0/3 nodes are available: 3 node(s) were unschedulable."],
  [
    "quota",
    "You have requested more vCPU capacity than your current vCPU limit of 0 allows for the instance bucket.",
  ],
  [
    "capacity",
    "The zone 'projects/p/zones/us-central1-a' does not have enough resources available to fulfill the request.",
  ],
  [
    "gpu",
    "nvidia-container-cli: requirement error: unsatisfied condition: cuda>=12.9, please update your driver",
  ],
  ["gpu", 'Error response from daemon: could not select device driver "" with capabilities: [[gpu]].'],
  [
    "network",
    "W: Failed to fetch http://archive.ubuntu.com: Temporary failure resolving 'archive.ubuntu.com'",
  ],
  ["network", "ProxyError('Unable to connect to proxy', NewConnectionError('refused'))"],
  ["network", "OSError: We couldn't connect to 'https://huggingface.co' to load the files"],
  ["image", "toomanyrequests: You have reached your pull rate limit."],
  [
    "nodes",
    "Timed out while waiting for nodes to start. Cluster may be out of resources or may be too slow to autoscale. Pod status: Pending Details: '0/2 nodes are available: 2 node(s) had untolerated taint {nvidia.com/gpu: present}. preemption: 0/2 nodes are available'",
  ],
  ["nodes", "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."],
  [
    "capacity",
    "Details: '0/3 nodes are available: 1 node(s) had untolerated taint {node-role.kubernetes.io/control-plane: }, 2 Insufficient nvidia.com/gpu.'",
  ],
  [
    "privileges",
    'KubernetesError: Insufficient system privileges detected. Ensure the default user has root access or "sudo" is installed and the user is added to the sudoers from the image.',
  ],
  ["privileges", "bash: line 1: sudo: command not found"],
  [
    "volume",
    'Pod a-head has failed to attach or mount volumes for over 10 minutes: FailedMount: MountVolume.SetUp failed for volume "x"',
  ],
  ["volume", "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."],
  [
    "slurm",
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
  ],
  ["slurm", "sbatch: error: Batch job submission failed: Invalid qos specification"],
  [
    "slurm",
    "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)",
  ],
  ["slurm", "sbatch: error: Batch job submission failed: Requested node configuration is not available"],
  ["slurm", "sbatch: error: Batch job submission failed: Invalid feature specification"],
  ["slurm", "sbatch: error: Batch job submission failed: User's group not permitted to use this partition"],
  [
    "capacity",
    "(SkuNotAvailable) The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: Standard_ND96isr_H100_v5' is currently not available in location 'eastus'.",
  ],
  [
    "capacity",
    "Code: ZonalAllocationFailed Message: Allocation failed. We do not have sufficient capacity for the requested VM size in this zone.",
  ],
  ["capacity", "OverconstrainedAllocationRequest: Allocation failed."],
  [
    "capacity",
    "{'code': 'ZONE_RESOURCE_POOL_EXHAUSTED', 'message': 'The zone does not have enough resources available'}",
  ],
  ["capacity", "insufficient-capacity: Not enough capacity to fulfill launch request."],
  ["capacity", "Out of host capacity."],
  [
    "capacity",
    "There are no longer any instances available with the requested specifications. Please refresh and try again.",
  ],
  [
    "quota",
    "(OperationNotAllowed) Operation could not be completed as it results in exceeding approved standardNDSH100v5Family Cores quota.",
  ],
  ["quota", 'pods "x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=8'],
  [
    "credentials",
    "An error occurred (UnauthorizedOperation) when calling the RunInstances operation: You are not authorized",
  ],
  ["credentials", "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation"],
  ["credentials", "(AuthorizationFailed) The client 'x' does not have authorization to perform action"],
  ["credentials", "AADSTS700082: The refresh token has expired due to inactivity."],
  ["credentials", "{'code': 'IAM_PERMISSION_DENIED', 'message': 'Policy update access denied.'}"],
  [
    "model",
    "huggingface_hub.errors.GatedRepoError: 401 Client Error. Cannot access gated repo for url https://huggingface.co/meta-llama/Llama-3.1-8B/resolve/main/config.json.",
  ],
  [
    "model",
    "403 Client Error: Forbidden for url: https://huggingface.co/meta-llama/x/resolve/main/config.json",
  ],
  [
    "model",
    "OSError: no/such is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
  ],
  ["model", "a/model could not be fetched (attempt 1): HfHubHTTPError: 403 Forbidden: None."],
  ["disk", "OSError: [Errno 28] No space left on device"],
  ["disk", "cp: error writing 'x': Disk quota exceeded"],
  ["disk", "The node was low on resource: ephemeral-storage. Threshold quantity: 1Gi"],
  ["memory", "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."],
  ["memory", "Pod x failed: OOMKilled"],
  ["memory", "ValueError: No available memory for the cache blocks."],
  [
    "memory",
    "ValueError: Free memory on device (3.1/79.1 GiB) on startup is less than desired GPU memory utilization (0.9, 71.2 GiB).",
  ],
  ["memory", "RuntimeError: Loaded weights leave no GPU memory for the KV cache"],
  [
    "template",
    '2026-01-01T10:00:30.123456Z ERROR watcher: retry failed error="chat_template field is required in the file"',
  ],
  [
    "architecture",
    "ValueError: The checkpoint you are trying to load has model type `new_one` but Transformers does not recognize this architecture.",
  ],
  ["architecture", "ValueError: Model architectures ['NewForCausalLM'] are not supported for now."],
  ["architecture", "RuntimeError: Unknown architecture for AutoModelForCausalLM: NewForCausalLM"],
  [
    "architecture",
    "ValueError: Please pass the argument `trust_remote_code=True` to allow custom code to be run.",
  ],
  ["setting", "launch_server.py: error: unrecognized arguments: --no-such-flag 3"],
  ["setting", "vllm: error: argument --dtype: invalid choice: 'fp5' (choose from 'auto', 'half')"],
  ["setting", "__main__.py: error: the following arguments are required: --model-path"],
  [
    "setting",
    "ValueError: User-specified max_model_len (99999) is greater than the derived max_model_len (max_position_embeddings=40960).",
  ],
  [
    "gpu",
    "ValueError: The quantization method fp8 is not supported for the current GPU. Minimum capability: 89. Current capability: 80.",
  ],
  [
    "node",
    "node check, problem: NVIDIA's driver is 535.183.06, and this engine's CUDA needs 580 or newer: update it",
  ],
  ["gpu", "RuntimeError: CUDA error: no kernel image is available for execution on the device"],
  ["gpu", "CUDA driver version is insufficient for CUDA runtime version"],
  ["program", "trtllm-llmapi-launch: no such program on this node's PATH (/usr/bin)"],
  ["program", "ModuleNotFoundError: No module named 'sglang'"],
  ["memory", "CUDA error: out of memory"],
  ["file", "FileNotFoundError: [Errno 2] No such file or directory: '/models/chat.jinja'"],
  ["file", "OSError: /models/x does not appear to have a file named config.json."],
  [
    "memory",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=3.0. Some of the step tasks have been OOM Killed.",
  ],
  [
    "certificate",
    "requests.exceptions.SSLError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded with url: /api/models/Qwen/Qwen3-8B (Caused by SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed certificate in certificate chain')))",
  ],
  ["certificate", "x509: certificate signed by unknown authority"],
  [
    "network",
    "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='huggingface.co', port=443): Max retries exceeded with url: /api/models/Qwen/Qwen3-8B (Caused by NameResolutionError: Failed to resolve: Name or service not known)",
  ],
  [
    "busy",
    "requests.exceptions.HTTPError: 429 Client Error: Too Many Requests for url: https://example.com/x",
  ],
  [
    "unreachable",
    "requests.exceptions.ConnectionError: HTTPConnectionPool(host='127.0.0.1', port=46580): Max retries exceeded with url: /api/health (Caused by NewConnectionError)",
  ],
  ["invalid", "Catalog does not contain any instances satisfying the request: 1x AWS({'B999': 8})."],
];

describe("a cause", () => {
  it.each(PRINTED)("%s: %s", (kind, line) => {
    const failure = classify(["Considered resources (2 nodes):", line, "Stopping."]);
    expect(failure.kind).toBe(kind);
    // Verbatim, except for the name of the exception.
    expect(line).toContain(failure.cause);
    const message = failureMessage("The launch failed", failure, { lines: [line] });
    expect(message.split("\n").slice(0, 2)).toEqual([
      `The launch failed: ${FAILURES[kind].title}.`,
      `Cause: ${failure.cause}`,
    ]);
    expect(message.split("\n").at(-1)).toBe(`Next: ${FAILURES[kind].advice}`);
  });

  it("is known for each kind, and the documentation's words are among what is recognised", () => {
    for (const { kind, pattern, words } of CAUSES) {
      expect(
        PRINTED.some(([known, line]) => known === kind && pattern.test(line)) ||
          kind === "setup" ||
          kind === "capacity",
      ).toBe(true);
      for (const [, word = ""] of words.matchAll(/`([^`]+)`/g))
        expect({ word, kind: classify([word.replace("…", "x/y")]).kind }).toEqual({ word, kind });
    }
  });

  it.each([
    "(worker1, rank=1) INFO capacity of the pool: 3 blocks, quota none",
    "sudo apt-get update",
    "Loading checkpoint shards: 100%",
    "permission denied, trying the next one",
    "WARNING: did you mean --foo?",
    "KV cache usage 93 %, memory 71.2 GiB",
    "GET /api/models 200",
  ])("is not read into a log line that may mean anything: %s", (line) => {
    const failure = { kind: "run", cause: "job 1 ended as FAILED" } as const;
    expect(explained(failure, [line])).toBe(failure);
  });

  it("stands in the documentation, as it is here", () => {
    const page = readFileSync(join(packageRoot(), CAUSES_FILE), "utf8");
    expect(page, "run: npm run schema").toBe(renderCauses(page));
    for (const { title } of Object.values(FAILURES)) expect(page).toContain(title);
  });
});

describe("waiting for a program", () => {
  const SINCE = Date.parse("2026-01-01T10:00:00Z");
  const at = (minute: number) =>
    `started at ${new Date(SINCE + minute * 60_000).toISOString().replace(".000", "")}`;
  /** So many starts that ended with these lines, one a minute from `first` on; the last one goes on. */
  const starts = (count: number, lines: readonly string[], first = 0) => [
    ...Array.from({ length: count }, (_, index) => [at(first + index), "loading", ...lines]).flat(),
    at(first + count),
  ];
  const onNodes = PRINTED.filter(([kind, line]) => causeOnNodes([line])?.kind === kind);
  const finalAfter = (line: string) =>
    CAUSES.find(({ onNodes: is, pattern }) => is && pattern.test(line))?.finalAfter;
  const final = onNodes.filter(([, line]) => (finalAfter(line) ?? 0) > 0);
  const passing = onNodes.filter(([, line]) => finalAfter(line) === undefined);

  it("has causes of both sorts", () => {
    const kinds = new Set(final.map(([kind]) => kind));
    expect([...kinds].sort()).toEqual(
      ["architecture", "certificate", "disk", "file", "gpu", "memory", "model", "program", "setting"].sort(),
    );
    expect(new Set(passing.map(([kind]) => kind))).toContain("network");
    expect(new Set(passing.map(([kind]) => kind))).toContain("busy");
  });

  it.each(final)("ends after some starts that ended with %s: %s", (kind, line) => {
    const enough = finalAfter(line) ?? 0;
    expect(finalCause(starts(enough, [line, "Traceback"]), SINCE)).toMatchObject({ kind });
    expect(finalCause(starts(enough - 1, [line]), SINCE)).toBeUndefined();
    // The last one has not ended: it may be another cause that ends it, or none.
    expect(finalCause([...starts(enough - 1, [line]), line], SINCE)).toBeUndefined();
    // Before the wait: of a token, a flag or a disk that has been changed since.
    expect(finalCause(starts(enough, [line], -60), SINCE)).toBeUndefined();
    expect(finalCause([...starts(enough, [line], -60), ...starts(1, [line], 1)], SINCE)).toBeUndefined();
    // A start in between ended otherwise.
    const otherwise = [...starts(enough - 1, [line]).slice(0, -1), ...starts(1, ["x"], enough - 1)];
    expect(finalCause([...otherwise.slice(0, -1), ...starts(1, [line], enough)], SINCE)).toBeUndefined();
  });

  it.each(passing)("goes on in spite of %s: %s", (_, line) => {
    expect(finalCause(starts(9, [line]), SINCE)).toBeUndefined();
    // What may pass may also be what the other one comes from.
    expect(finalCause(starts(9, ["CUDA out of memory", line]), SINCE)).toBeUndefined();
  });

  const policy = (pid: number) => `[${pid}] ValueError: the policy 'spread' is not one of this router`;
  /** Starts that ended with these lines, so many seconds after one another. */
  const ending = (errors: readonly string[], seconds: number, from = 0) => [
    ...errors.flatMap((error, index) => [at(from + (index * seconds) / 60), "loading", error]),
    at(from + (errors.length * seconds) / 60),
  ];

  it("ends where no table has the error, but four starts in a row ended with it soon", () => {
    const errors = [1, 22, 333, 4444].map(policy);
    expect(finalCause(ending(errors, 20), SINCE)).toEqual({ kind: "ends", cause: policy(4444) });
    expect(finalCause(ending(errors.slice(1), 20), SINCE)).toBeUndefined();
    expect(finalCause(ending(errors, 20, -60), SINCE)).toBeUndefined();
    // It had begun its work.
    expect(finalCause(ending(errors, 600), SINCE)).toBeUndefined();
    expect(finalCause(ending([...errors.slice(1), "KeyError: 'model'"], 20), SINCE)).toBeUndefined();
    expect(finalCause(ending(errors, 20).slice(0, -1), SINCE)).toBeUndefined();
  });

  it.each([
    "error: cannot connect to etcd at 10.0.0.1:2379",
    "OSError: [Errno 98] Address already in use",
    "TimeoutError: the store did not answer",
    "requests.exceptions.HTTPError: 503 Server Error",
    "RuntimeError: Lost lease of the worker",
  ])("goes on where each start ends with what may pass: %s", (error) => {
    expect(finalCause(ending(Array(9).fill(error), 20), SINCE)).toBeUndefined();
  });

  it("goes on where logs tell nothing, or no start", () => {
    expect(finalCause([], SINCE)).toBeUndefined();
    expect(finalCause(starts(9, ["killed"]), SINCE)).toBeUndefined();
    expect(finalCause(Array(9).fill("torch.OutOfMemoryError: CUDA out of memory."), SINCE)).toBeUndefined();
  });

  it("ends at once with what a frontend says now, and not with what it said before", () => {
    const line = (time: string) =>
      `(head, rank=0) frontend-0 | ${time} ERROR watcher: retry failed error="chat_template field is required in the file"`;
    expect(finalCause([line("2026-01-01T09:59:00.5Z")], SINCE)).toBeUndefined();
    const said = ["2026-01-01T10:01:00Z INFO fine", line("2026-01-01T10:00:30.123456Z")];
    expect(finalCause(said, SINCE)).toMatchObject({ kind: "template" });
  });

  it("names the cause of the last start or the one before, not of those that are over", () => {
    const oom = "CUDA out of memory";
    expect(recentCause(starts(1, [oom]))).toMatchObject({ kind: "memory" });
    expect(recentCause([...starts(3, [oom]), "ready", at(9), "ready"])).toBeUndefined();
    expect(recentCause([oom])).toMatchObject({ kind: "memory" });
  });
});
