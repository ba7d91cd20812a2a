/** Client of a local node's supervisor, through its socket: http://supervisord.org/api.html */
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { supervisorSocket } from "../plan/node/paths";
import { decodeAnswer, encodeCall, XmlRpcFault, type XmlRpcValue } from "./xmlrpc";

// Codes of `supervisor/xmlrpc.py`.
const BAD_NAME = 10;
const ALREADY_ADDED = 90;

const ALREADY_STARTED = 60;

/** Supervisor's state of one program. */
export interface ProgramState {
  readonly name: string;
  /** `RUNNING`, `STARTING`, `BACKOFF`, `STOPPING`, `STOPPED`, `EXITED`, `FATAL`. */
  readonly state: string;
  readonly pid: number;
  /** Supervisor's reason why it is not running. */
  readonly spawnError: string;
}

/** Differences between the files on disk and the running programs, by program name. */
export interface Reload {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export class SupervisorClient {
  private readonly socket: string;

  constructor(nodeDirectory: string) {
    this.socket = supervisorSocket(nodeDirectory, process.getuid?.() ?? 0);
  }

  /** Whether supervisor answers; false if its socket is missing or dead. */
  async answers(): Promise<boolean> {
    try {
      await this.call("supervisor.getState", [], 2);
      return true;
    } catch {
      return false;
    }
  }

  async programs(): Promise<ProgramState[]> {
    return records(await this.call("supervisor.getAllProcessInfo")).map((info) => ({
      name: String(info["name"]),
      state: String(info["statename"]),
      pid: Number(info["pid"]),
      spawnError: String(info["spawnerr"] ?? ""),
    }));
  }

  /** Reloads the files. Starts and stops nothing. */
  async reload(): Promise<Reload> {
    const [lists] = asArray(await this.call("supervisor.reloadConfig"));
    const [added = [], changed = [], removed = []] = asArray(lists ?? []).map((names) =>
      asArray(names).map(String),
    );
    return { added, changed, removed };
  }

  /** Adds a program from the files, which starts it. */
  async add(program: string): Promise<void> {
    await this.unlessFault(ALREADY_ADDED, "supervisor.addProcessGroup", [program]);
  }

  /** Starts a stopped program; fine if it is running. */
  async start(program: string): Promise<void> {
    await this.unlessFault(ALREADY_STARTED, "supervisor.startProcess", [program, false]);
  }

  /**
   * Stops and removes a program; fine if it is unknown.
   *
   * @param stopSeconds Time after which supervisor kills it.
   */
  async remove(program: string, stopSeconds: number): Promise<void> {
    await this.unlessFault(BAD_NAME, "supervisor.stopProcessGroup", [program, true], stopSeconds + 15);
    await this.unlessFault(BAD_NAME, "supervisor.removeProcessGroup", [program]);
  }

  /** Makes supervisor stop all programs and exit. Returns before it has. */
  async shutdown(): Promise<void> {
    await this.call("supervisor.shutdown");
  }

  private async unlessFault(
    code: number,
    method: string,
    parameters: readonly (string | number | boolean)[],
    timeoutSeconds?: number,
  ): Promise<void> {
    try {
      await this.call(method, parameters, timeoutSeconds);
    } catch (error) {
      if (!(error instanceof XmlRpcFault && error.code === code)) throw error;
    }
  }

  private async call(
    method: string,
    parameters: readonly (string | number | boolean)[] = [],
    timeoutSeconds = 15,
  ): Promise<XmlRpcValue> {
    const body = encodeCall(method, parameters);
    const answer = await new Promise<string>((resolve, reject) => {
      const call = request(
        {
          socketPath: this.socket,
          path: "/RPC2",
          method: "POST",
          headers: { "content-type": "text/xml", "content-length": Buffer.byteLength(body) },
          signal: AbortSignal.timeout(timeoutSeconds * 1000),
        },
        (response) => {
          if (response.statusCode === 200) text(response).then(resolve, reject);
          else reject(new Error(`${method}: supervisor answered HTTP ${response.statusCode}`));
        },
      );
      call.on("error", reject);
      call.end(body);
    });
    return decodeAnswer(answer);
  }
}

function asArray(value: XmlRpcValue): XmlRpcValue[] {
  return Array.isArray(value) ? value : [];
}

function records(value: XmlRpcValue): { [name: string]: XmlRpcValue }[] {
  return asArray(value).flatMap((entry) =>
    typeof entry === "object" && entry !== null && !Array.isArray(entry) ? [entry] : [],
  );
}
