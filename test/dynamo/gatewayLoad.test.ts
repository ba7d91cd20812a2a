/**
 * The gateway under load, with TLS: clients with a key lose nothing, concurrent clients without one get
 * nothing.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Endpoint, type StreamedAnswer, sendStreams } from "../../dev/benchmarks/streams";
import { issueCertificate } from "../../lib/tls/issue";
import { API_KEYS, TLS_BUNDLE } from "../../plan/programs/gateway";
import { TestDeployment } from "./support";

const SERVED = 10_000;
const REFUSED = 1000;
/**
 * Both are sent in this many parts, one of each concurrently, so that requests without a key run for the
 * whole time.
 */
const ROUNDS = 10;
const CLIENTS = 32;
const ANSWER_TOKENS = 4;
const LOAD_SECONDS = 300;

const deployment = new TestDeployment(
  {
    // Limits that are never reached here: test/dynamo/gateway.test.ts tests them.
    access: {
      gateway: true,
      tls: { mode: "generated" },
      requestsPerSecond: 100_000,
      burst: 1_000_000,
      connectionsPerKey: 1000,
    },
    frontend: { replicas: 2 },
    router: { mode: "round-robin" },
    pools: [{ role: "aggregated", replicas: 1 }],
    // Makes the engine's time negligible. (0, which its help calls infinite, was no faster than 1.)
    engineArgs: ["--speedup-ratio", "1000"],
  },
  { discovery: "etcd", events: "nats" },
);
const { plan } = deployment;
const url = deployment.endpoint.replace("http:", "https:");
const key = randomBytes(24).toString("hex");
let known: Endpoint;

beforeAll(async () => {
  const { hostname } = new URL(url);
  const issued = await issueCertificate(randomBytes(24).toString("hex"), [hostname]);
  known = { url, model: plan.model, authorization: `Bearer ${key}`, ca: issued.authority };
  deployment.secrets = { [API_KEYS]: `default:${key}`, [TLS_BUNDLE]: issued.bundle };
  await deployment.up({ endpoint: url, apiKey: key, fingerprint: issued.fingerprint });
});
afterAll(() => deployment.close());

/** Chat requests counted by the frontends themselves. */
async function countedByFrontends(): Promise<number> {
  const ports = deployment.cluster.nodes.flatMap(({ programs }) =>
    programs.flatMap(({ role, ports: { frontendHttp } }) => (role === "frontend" ? [frontendHttp] : [])),
  );
  expect(ports).toHaveLength(2);
  const { hostname } = new URL(url);
  const pages = await Promise.all(
    ports.map(async (port) => (await fetch(`http://${hostname}:${port}/metrics`)).text()),
  );
  const counts = pages.flatMap((page) => [
    ...page.matchAll(/^dynamo_frontend_requests_total\{[^}]*endpoint="chat_completions"[^}]*\} (\d+)$/gm),
  ]);
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

test(
  `${SERVED} streamed requests with a key come to their end, and ${REFUSED} without one beside them are refused`,
  async () => {
    const strangers: Endpoint[] = [
      undefined,
      `Bearer ${randomBytes(24).toString("hex")}`,
      `Bearer ${key.slice(0, -1)}`,
      `Basic ${key}`,
    ].map((authorization) => ({ ...known, authorization }));
    const send = (endpoint: Endpoint, requests: number, clients: number) =>
      sendStreams(endpoint, { requests, clients, answerTokens: ANSWER_TOKENS });
    const before = await countedByFrontends();
    const served: StreamedAnswer[] = [];
    const refused: StreamedAnswer[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const [answers, ...refusals] = await Promise.all([
        send(known, SERVED / ROUNDS, CLIENTS),
        ...strangers.map((stranger) => send(stranger, REFUSED / ROUNDS / strangers.length, 1)),
      ]);
      served.push(...answers);
      refused.push(...refusals.flat());
    }
    expect(unlike(served, ({ isWhole }) => isWhole)).toEqual([]);
    expect(served).toHaveLength(SERVED);
    expect(unlike(refused, ({ status, problem }) => status === 401 && isRefusal(problem))).toEqual([]);
    expect(refused).toHaveLength(REFUSED);
    // No request without a key has reached a frontend.
    expect((await countedByFrontends()) - before).toBe(SERVED);
  },
  LOAD_SECONDS * 1000,
);

function isRefusal(said: string | undefined): boolean {
  return said?.includes("invalid_api_key") === true;
}

/** The first few unexpected responses. */
function unlike(answers: readonly StreamedAnswer[], isRight: (answer: StreamedAnswer) => boolean) {
  return answers.filter((answer) => !isRight(answer)).slice(0, 5);
}
