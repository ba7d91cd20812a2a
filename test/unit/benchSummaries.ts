/** Synthetic summaries of runs, for tests of their evaluation. */
import { LOADS } from "../../cli/bench/loads";
import type { Run, Summary } from "../../cli/bench/summary";

export const CLIENTS = [1, 8, 32];

/**
 * A summary with times to the first token `slower` times those of another, with repeats that differ by up to
 * 4 ms.
 * @param repeats Of each number of clients.
 */
export function summaryOf(label: string, slower: number, repeats = 4): Summary {
  const points = CLIENTS.map((clients) => ({
    clients,
    runs: Array.from({ length: repeats }, (_, index) =>
      runOf(clients, slower * (50 + clients - 1 + (4 * index) / Math.max(1, repeats - 1)), index),
    ),
  }));
  return {
    schema: 1,
    stack: label,
    label,
    startedAt: "2026-01-01T00:00:00.000Z",
    seconds: 120,
    quick: false,
    load: { ...LOADS.chat, clients: [...CLIENTS], repeats },
    deployment: {
      endpoint: "http://127.0.0.1:8000",
      model: "Qwen/Qwen3-8B",
      engine: "mocker",
      isSimulated: true,
      gpus: 4,
      nodes: 1,
      programs: { frontend: 1, aggregated: 4 },
    },
    environment: {
      dynamoSky: "0.1.0",
      aiperf: "0.13.0",
      dynamo: "1.4.2",
      node: "v22",
      system: "Linux",
      cores: 2,
      memoryGiB: 24,
    },
    points,
  };
}

function runOf(clients: number, ttft: number, index: number): Run {
  const itl = 6 + clients / 8 + index / 100;
  const tokensPerSecond = (1000 * clients) / itl;
  return {
    requests: 40,
    errors: 0,
    seconds: 10,
    promptTokens: 500,
    answerTokens: 200,
    values: {
      ...{ ttftP50: ttft, ttftP90: ttft * 1.2, ttftP99: ttft * 1.5, itlP50: itl, itlP90: itl, itlP99: itl },
      ...{ latencyP50: ttft + 199 * itl, latencyP99: ttft + 200 * itl },
      ...{ tokensPerSecond, requestsPerSecond: tokensPerSecond / 200 },
      ...{ tokensPerSecondPerUser: 1000 / itl, tokensPerSecondPerGpu: tokensPerSecond / 4 },
    },
    seed: index,
    artifacts: `aiperf/${clients}-clients-${index + 1}`,
  };
}
