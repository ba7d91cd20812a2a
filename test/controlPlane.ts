/** Plain clients of etcd and NATS: the access of anyone who can reach their ports. */
import { connect } from "node:net";
import { callHttp } from "../lib/http";

export interface EtcdAnswer {
  readonly token?: string;
  readonly kvs?: readonly { readonly key: string; readonly lease?: string }[];
  readonly message?: string;
  readonly error?: string;
}

const LIMIT_MS = 10_000;

/**
 * A call of etcd's HTTP API: https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
 *
 * @param at Host and port.
 */
export async function askEtcd(at: string, path: string, body: unknown, token?: string): Promise<EtcdAnswer> {
  const { text } = await callHttp(`http://${at}/v3/${path}`, {
    body,
    headers: token === undefined ? {} : { authorization: token },
    timeoutMs: LIMIT_MS,
    signal: AbortSignal.timeout(LIMIT_MS),
  });
  const answer: EtcdAnswer = JSON.parse(text);
  // etcd 3.4 gives an error under both names, later ones under the second alone.
  return answer.message === undefined ? answer : { error: answer.message, ...answer };
}

/** All keys from a prefix up to the end of its range. */
export function etcdKeys(prefix: string, end: string) {
  return { key: base64(prefix), range_end: base64(end) };
}

/** Keys and values in the encoding of etcd's HTTP API. */
export function base64(text: string): string {
  return Buffer.from(text).toString("base64");
}

/** Keys of Dynamo's registrations. */
export const DYNAMO_KEYS = etcdKeys("v1/", "v10");

/** etcd's error for missing permissions. */
export const ETCD_REFUSAL = /user name is empty|invalid auth token|permission denied/;

/** NATS's reply to a client's CONNECT: https://docs.nats.io/reference/reference-protocols/nats-protocol */
export function greetNats(
  host: string,
  port: number,
  options: Readonly<Record<string, unknown>>,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, host);
    let told = "";
    socket.setEncoding("utf8").setTimeout(LIMIT_MS, () => socket.destroy(new Error("no answer")));
    socket.on("error", reject);
    socket.on("data", (text: string) => {
      told += text;
      if (!/^(PONG|-ERR.*)\r$/m.test(told)) return;
      socket.destroy();
      resolve(/^(PONG|-ERR.*)\r$/m.exec(told)?.[1] ?? "");
    });
    socket.write(`CONNECT ${JSON.stringify({ verbose: false, ...options })}\r\nPING\r\n`);
  });
}

/** NATS's reply to a missing or wrong token. */
export const NATS_REFUSAL = "-ERR 'Authorization Violation'";
