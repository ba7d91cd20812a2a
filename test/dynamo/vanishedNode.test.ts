/**
 * A node that vanishes under load, so that nobody closes its connections: what runs on it goes on elsewhere.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { nodeEnvironment } from "../../local/toolchain";
import { parseConfig } from "../../plan/config";
import { plan } from "../../plan/plan";
import { type ProgramPlan, secretsOfProgram } from "../../plan/types";
import { CABLE, TwoHosts, whyNoTwoHosts } from "../twoHosts";
import { eventually } from "./support";
import { toolchainWith } from "./toolchain";

const MODEL = "Qwen/Qwen3-8B";
const PORT = 8000;
const CLIENTS = 40;
/** Of `runtime/keepalive.py`, and time to go on on a busy machine. */
const LONGEST_SECONDS = 45;

/** Two workers on two nodes, and the control plane and the frontend on the first of them. */
function planned(): readonly (readonly ProgramPlan[])[] {
  const config = parseConfig({
    ...{ model: MODEL, engine: "mocker", sky: { infra: "slurm/hpc" } },
    ...{ cluster: { nodes: 2, gpusPerNode: 1 }, pools: [{ role: "aggregated", replicas: 2 }] },
    ...{ access: { gateway: false }, frontend: { port: PORT, replicas: 1 } },
    ...{ controlPlane: { tls: false }, timeouts: { stopSeconds: 10 } },
  });
  const [cluster] = plan(config, { discovery: "etcd", events: "nats" }).clusters;
  return (cluster?.nodes ?? []).map(({ programs }) => programs);
}

/**
 * Clients that ask one request after the other, until a file is there; it then prints how many came to their
 * end, what became of the others, and the longest one, seconds.
 */
const ASK = `
import http.client, json, os, sys, threading, time
clients, limit, stop = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
done, lost, longest, lock = [0], [], [0], threading.Lock()
def ask(text):
    connection = http.client.HTTPConnection("127.0.0.1", ${PORT}, timeout=limit)
    body = {"model": "${MODEL}", "stream": True, "max_tokens": 60, "messages": [{"role": "user", "content": text}]}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    if answer.status != 200: return "status %d" % answer.status
    for line in answer:
        if b'"error"' in line: return line.decode()
        if line.startswith(b"data: [DONE]"): return None
    return "it broke"
def is_there():
    try: return ask("Is somebody there?") is None
    except OSError: return False
while not is_there(): time.sleep(0.5)
print("begun", flush=True)
def client(number):
    while not os.path.exists(stop):
        began = time.monotonic()
        try: problem = ask("%d, say hello. " % number * 20)
        except Exception as error: problem = repr(error)
        with lock:
            longest[0] = max(longest[0], time.monotonic() - began)
            if problem is None: done[0] += 1
            else: lost.append(problem)
            if done[0] % 200 == 0: print("done", done[0], flush=True)
threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print("told", json.dumps({"done": done[0], "lost": lost, "longest": longest[0]}), flush=True)
`;

describe.skipIf(whyNoTwoHosts() !== undefined)("a node that vanishes", { timeout: 300_000 }, () => {
  const before = { ...process.env };
  let hosts: TwoHosts;
  beforeAll(async () => {
    Object.assign(process.env, nodeEnvironment(await toolchainWith({ services: true, model: MODEL })));
    hosts = new TwoHosts();
    // As the node's supervisor makes it: etcd writes there while it is set up.
    mkdirSync(join(hosts.nodeDirectory(0), "logs"));
  }, 300_000);
  afterAll(() => {
    hosts?.close();
    process.env = before;
  });

  it("loses no request: those on it go on at the other one", async () => {
    const nodes = planned();
    const secrets = Object.fromEntries(
      nodes
        .flat()
        .flatMap(secretsOfProgram)
        .map((name) => [name, "a-secret-of-this-test"]),
    );
    for (const [host, programs] of nodes.entries())
      for (const program of programs) {
        // Of several networks without a default route Dynamo takes any.
        const env = { ...program.env, DYN_TCP_RESPONSE_STREAM_HOST: CABLE };
        void hosts.launch(host, { ...program, env }, secrets);
      }
    const [frontend] = nodes.flat().filter(({ role }) => role === "frontend");
    if (frontend === undefined) throw new Error("no frontend");
    const stop = join(hosts.nodeDirectory(0), "stop");
    const command = ["python3", "-uc", ASK, String(CLIENTS), String(2 * LONGEST_SECONDS), stop];
    const { watch: _, ...rest } = frontend;
    const clients = { ...rest, name: "clients", command, env: {}, secretEnv: [] };
    void hosts.launch(0, clients, secrets);
    const done = () => Number(/.*done (\d+)/s.exec(hosts.log(0))?.[1] ?? 0);
    await eventually(() => done() > 0, 120);
    const before = done();
    hosts.cut([1]);
    // The others go on at once.
    await eventually(() => done() > before + 600, 120);
    writeFileSync(stop, "");
    const told = () => /^told (.*)$/m.exec(hosts.log(0))?.[1];
    await eventually(() => told() !== undefined, 2 * LONGEST_SECONDS);
    const { lost, longest } = JSON.parse(told() ?? "");
    expect(lost).toEqual([]);
    expect(longest).toBeLessThan(LONGEST_SECONDS);
  });
});
