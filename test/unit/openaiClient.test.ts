/** What OpenAI's own client makes of the answers that an endpoint gives while it cannot serve, and of Dynamo's own errors. */
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import OpenAI from "openai";
import { describe, expect, it } from "vitest";

/** As the gateway answers while a model has no worker, with another number of seconds. */
const RETRY_AFTER_SECONDS = 1;
const NOT_READY = {
  error: { message: "The model has no worker at the moment.", type: "server_error", code: "model_not_ready" },
};
const ANSWER = { choices: [{ message: { role: "assistant", content: "Hello." } }] };

async function asked<T>(answer: RequestListener, ask: (endpoint: string) => Promise<T>): Promise<T> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    return await ask(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** One request to an endpoint that is away for so many seconds; how often it was sent. */
function sentThrough(outageSeconds: number, options: { readonly maxRetries?: number }) {
  let sent = 0;
  let back = 0;
  const answer: RequestListener = (_, response) => {
    // It begins with the first request.
    if (sent++ === 0) back = Date.now() + outageSeconds * 1000;
    const isBack = Date.now() >= back;
    response.writeHead(isBack ? 200 : 503, {
      "content-type": "application/json",
      ...(isBack ? {} : { "retry-after": String(RETRY_AFTER_SECONDS) }),
    });
    response.end(JSON.stringify(isBack ? ANSWER : NOT_READY));
  };
  return asked(answer, async (baseURL) => {
    const client = new OpenAI({ baseURL, apiKey: "none", ...options });
    await client.chat.completions.create({ model: "m", messages: [] });
    return sent;
  });
}

describe("OpenAI's client", () => {
  it("comes through an outage of twice Retry-After by itself", async () => {
    expect(await sentThrough(1.5 * RETRY_AFTER_SECONDS, {})).toBe(3);
  });

  it("gives up after a longer one, in words that can be read", async () => {
    await expect(sentThrough(60 * RETRY_AFTER_SECONDS, {})).rejects.toThrow(
      "503 The model has no worker at the moment.",
    );
  });

  it("comes through a longer one with as many retries as it has of Retry-After", async () => {
    expect(await sentThrough(3.5 * RETRY_AFTER_SECONDS, { maxRetries: 4 })).toBe(5);
  }, 15_000);

  it.each([
    [
      "JSON of its own shape",
      "application/json",
      '{"message":"temperature is 99","type":"Bad Request","code":400}',
      400,
    ],
    ["words", "text/plain", "Failed to deserialize: temperature is 99", 422],
  ])("can read Dynamo's own errors: %s", async (_, type, body, status) => {
    const answer: RequestListener = (_request, response) => {
      response.writeHead(status, { "content-type": type });
      response.end(body);
    };
    const failure = asked(answer, (baseURL) =>
      new OpenAI({ baseURL, apiKey: "none" }).chat.completions.create({ model: "m", messages: [] }),
    );
    await expect(failure).rejects.toThrow("temperature is 99");
    await expect(failure).rejects.toMatchObject({ status });
  });
});
