/** Clients of a gateway, with a key or with what is none. */
import { request } from "node:http";
import OpenAI from "openai";

type Headers = Readonly<Record<string, string>>;

export const bearer = (value: string) => ({ authorization: `Bearer ${value}` });

/** Requests to one gateway, and a short one for its model. */
export function gatewayClients({ endpoint, model }: { readonly endpoint: string; readonly model: string }) {
  return {
    chat: { model, messages: [{ role: "user" as const, content: "Say hello." }], max_tokens: 8 },
    clientWith: (apiKey: string) => new OpenAI({ baseURL: `${endpoint}/v1`, apiKey, maxRetries: 0 }),
    statusOf: async (path: string, headers: Headers = {}) =>
      (await fetch(`${endpoint}${path}`, { headers })).status,
    post: (headers: Headers, body: string) =>
      fetch(`${endpoint}/v1/chat/completions`, {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body,
      }),
    /** `fetch` normalises a path before it sends it. */
    rawGet: (path: string, headers: Headers) => rawGet(endpoint, path, headers),
  };
}

function rawGet(endpoint: string, path: string, headers: Headers): Promise<{ status: number; body: string }> {
  const { hostname, port } = new URL(endpoint);
  return new Promise((resolve, reject) => {
    const call = request({ host: hostname, port, path, headers }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => {
        body += part;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    call.on("error", reject);
    call.end();
  });
}
