/** Peers without a certificate, and listeners between nodes. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { connect as connectTls } from "node:tls";
import { expect } from "vitest";
import { callHttp } from "../lib/http";
import { RUNTIME } from "./runtime";
import { listeners } from "./sockets";

const LIMIT_MS = 20_000;

/** What a peer shows: its key and its certificate, PEM. */
export interface PeerCertificate {
  readonly key: string;
  readonly cert: string;
}

/** A certificate as nodes make it from this secret. */
export function certificateFrom(secret: string): PeerCertificate {
  const code = `import json, os, sys; sys.path.insert(0, sys.argv[1]); sys.dont_write_bytecode = True
import certificates
print(json.dumps(certificates.issue(os.environ["AUTHORITY"], ["127.0.0.1"])))`;
  const env = { ...process.env, AUTHORITY: secret };
  const files = JSON.parse(execFileSync("python3", ["-c", code, RUNTIME], { env, encoding: "utf8" }));
  return { key: files["key.pem"], cert: files["certificate.pem"] };
}

/** A port that speaks TLS, and what a client says first; NATS speaks before TLS begins. */
export interface Door {
  readonly host: string;
  readonly port: number;
  readonly isNats?: boolean;
  readonly greeting?: string;
}

/**
 * Whether a server lets a peer in. It tells only after the handshake: an accepted peer gets a ticket for its
 * next connection, or an answer, a refused one an alert or nothing.
 */
export async function knock(door: Door, certificate?: PeerCertificate): Promise<"accepted" | "refused"> {
  const plain = connect(door.port, door.host);
  await once(plain, "connect", { signal: AbortSignal.timeout(LIMIT_MS) });
  if (door.isNats === true) await once(plain, "data", { signal: AbortSignal.timeout(LIMIT_MS) });
  return await outcome(plain, door, certificate);
}

function outcome(plain: Socket, { greeting }: Door, certificate: PeerCertificate | undefined) {
  return new Promise<"accepted" | "refused">((resolve, reject) => {
    const socket = connectTls({ socket: plain, rejectUnauthorized: false, ...certificate });
    const end = (result: "accepted" | "refused"): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(LIMIT_MS, () => reject(new Error("neither accepted nor refused")));
    socket.on("secureConnect", () => socket.write(greeting ?? ""));
    socket.on("session", () => end("accepted"));
    socket.on("data", () => end("accepted"));
    socket.on("error", () => end("refused"));
    socket.on("close", () => end("refused"));
  });
}

/**
 * The sockets of a deployment's processes that ask for a certificate.
 * @param open Ports of the others.
 */
export function encryptedDoors(pids: readonly number[], open: readonly number[]): (Door & NamedProgram)[] {
  return listeners(pids)
    .filter(({ port }) => !open.includes(port))
    .map(({ address: host, port, program }) => {
      if (program === "etcd")
        return { program, host, port, greeting: "GET /version HTTP/1.1\r\nhost: x\r\n\r\n" };
      return program === "nats" ? { program, host, port, isNats: true } : { program, host, port };
    });
}

interface NamedProgram {
  readonly program: string;
}

/**
 * What a listener saw: the ports with each text in the clear, and the number of packets by port and by
 * `address:port`.
 */
export interface Overheard {
  readonly seen: Readonly<Record<string, readonly number[]>>;
  readonly packets: Readonly<Record<string, number>>;
}

/** Listens to all that these addresses of this machine say to each other, while `act` runs. Needs root. */
export async function overhear(
  addresses: readonly string[],
  needles: Readonly<Record<string, Buffer>>,
  act: () => Promise<void>,
): Promise<Overheard> {
  const hex = Object.values(needles).map((needle) => needle.toString("hex"));
  const script = join(__dirname, "listener.py");
  const listener = spawn("python3", [script, JSON.stringify(addresses), JSON.stringify(hex)]);
  listener.stderr.pipe(process.stderr);
  try {
    await once(listener.stdout, "readable", { signal: AbortSignal.timeout(LIMIT_MS) });
    await act();
  } finally {
    listener.stdin.end();
  }
  const { seen, packets } = JSON.parse((await text(listener.stdout)).replace(/^listening\n/, ""));
  const named = Object.entries(needles).flatMap(([name, needle]) => {
    const ports: readonly number[] | undefined = seen[needle.toString("hex")];
    return ports === undefined ? [] : [[name, ports] as const];
  });
  return { seen: Object.fromEntries(named), packets };
}

/** A prompt as the numbers of its tokens, which is what travels between frontend and workers. */
export const PROMPT = Array.from({ length: 64 }, (_, index) => 1000 + index * 7);

/** What a listener finds in Dynamo's messages, which are MessagePack. */
export const NEEDLES = {
  prompt: Buffer.concat(PROMPT.slice(0, 16).map((token) => Buffer.from([0xcd, token >> 8, token & 0xff]))),
  answer: Buffer.from("\xa9token_ids\x91\xcd", "latin1"),
  events: Buffer.from(".kv-events "),
} as const;

/** The same in a client's request. */
export const REQUEST = Buffer.from(PROMPT.slice(0, 16).join(","));

/** What a client needs to know of an endpoint. */
export interface Prompted {
  readonly endpoint: string;
  readonly model: string;
  readonly apiKey?: string | undefined;
  /** Of its certificate, if it uses TLS. */
  readonly fingerprint?: string | undefined;
}

/** Sends {@link PROMPT}, after other tokens. */
export async function sendPrompt(
  { endpoint, model, apiKey, fingerprint }: Prompted,
  ...before: readonly number[]
): Promise<void> {
  const { status, text: answer } = await callHttp(`${endpoint}/v1/completions`, {
    body: { model, prompt: [...before, ...PROMPT], max_tokens: 24, ignore_eos: true },
    headers: apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` },
    fingerprint,
    timeoutMs: LIMIT_MS,
    signal: new AbortController().signal,
  });
  if (status !== 200) throw new Error(`HTTP ${status}: ${answer}`);
}

/**
 * That each lets in who has a certificate made from this secret, and neither who has none nor who has one of
 * another deployment.
 */
export async function expectGuarded(doors: readonly (Door & NamedProgram)[], secret: string): Promise<void> {
  const own = certificateFrom(secret);
  const foreign = certificateFrom("of another deployment, which has a secret too");
  for (const door of doors) {
    const told = await Promise.all([knock(door), knock(door, foreign), knock(door, own)]);
    expect([door.program, door.port, ...told]).toEqual([
      door.program,
      door.port,
      "refused",
      "refused",
      "accepted",
    ]);
  }
}
