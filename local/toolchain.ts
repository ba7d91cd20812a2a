/** Tools that a local node needs, and the environment of its programs. */
import { homedir, userInfo } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { modelSource } from "../config/model";
import { UserError } from "../lib/errors";
import type { VerbContext } from "../lib/verb";
import { ensureToolchain } from "../toolchain";

/** Tools of a local node's programs. All paths are absolute. */
export interface LocalToolchain {
  /** Python of the environment that has Dynamo and supervisor. */
  readonly pythonBin: string;
  /** Absent with file discovery. */
  readonly etcd?: string | undefined;
  readonly natsServer?: string | undefined;
  /** Absent without a gateway. */
  readonly nginx?: string | undefined;
  /** Absent if not planned. */
  readonly prometheus?: string | undefined;
  /** `HF_HOME`, with the model's tokenizer in its cache. */
  readonly hfHome: string;
  /** Whether the tokenizer exists only locally, so that nothing may query the Hugging Face hub. */
  readonly hubOffline: boolean;
}

const SYSTEM_PATH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/**
 * The environment of a local node's programs. Built from scratch, so that variables of the user's shell
 * neither change a deployment nor leak into it.
 */
export function nodeEnvironment(toolchain: LocalToolchain): Record<string, string> {
  const { pythonBin, etcd, natsServer, nginx, prometheus, hfHome, hubOffline } = toolchain;
  const tools = [pythonBin, etcd, natsServer, nginx, prometheus].flatMap((tool) =>
    tool === undefined ? [] : dirname(tool),
  );
  return {
    PATH: [...new Set([...tools, ...SYSTEM_PATH])].join(delimiter),
    HOME: homedir(),
    USER: userInfo().username,
    LANG: "C.UTF-8",
    HF_HOME: hfHome,
    ...(hubOffline ? { HF_HUB_OFFLINE: "1" } : {}),
    // Colour codes in a log file are noise, and break searches.
    DYN_SDK_DISABLE_ANSI_LOGGING: "1",
  };
}

/** The tools that a cluster needs. */
export interface ToolchainNeeds {
  /** Whether etcd and NATS are needed. */
  readonly services: boolean;
  /** Whether nginx is needed. */
  readonly gateway: boolean;
  /** Whether Dynamo's planner is needed. */
  readonly planner: boolean;
  /** Whether Prometheus is needed. */
  readonly prometheus: boolean;
  /**
   * The served model: its tokenizer is needed if it is on the hub; a path is used directly. Default: none,
   * and programs may query the hub.
   */
  readonly model?: string | undefined;
}

/**
 * Finds the tools in this project's cache directory, and installs missing ones.
 *
 * @throws UserError if a tool can be neither found nor installed.
 */
export async function findToolchain(
  { services, gateway, planner, prometheus, model }: ToolchainNeeds,
  { progress }: VerbContext,
): Promise<LocalToolchain> {
  // A model in a directory needs no download.
  const isOfHub = model !== undefined && modelSource(model) === "hub";
  const tools = await ensureToolchain({
    need: [
      planner ? "planner" : "python",
      ...(services ? (["etcd", "nats-server"] as const) : []),
      ...(gateway ? (["nginx"] as const) : []),
      ...(prometheus ? (["prometheus"] as const) : []),
      ...(isOfHub ? (["model"] as const) : []),
    ],
    ...(isOfHub ? { model } : {}),
    onProgress: progress.line,
  }).catch((error: unknown) => {
    throw new UserError(error instanceof Error ? error.message : String(error));
  });
  const { etcd, natsServer, nginx } = tools;
  const python = planner ? tools.planner : tools.python;
  if (python === undefined || (services && (etcd === undefined || natsServer === undefined))) {
    const missing = [python ? [] : "Python", etcd ? [] : "etcd", natsServer ? [] : "nats-server"].flat();
    throw new UserError(
      `${missing.join(" and ")} can neither be found nor installed on this machine. Install it, or do without etcd and ` +
        "NATS: `pulumi config set --path dynamo-sky:controlPlane.discovery file`.",
    );
  }
  if (gateway && nginx === undefined) {
    throw new UserError(
      "nginx can neither be found nor unpacked on this machine. Install it, or do without a gateway: " +
        "`pulumi config set --path dynamo-sky:access.gateway false`.",
    );
  }
  if (prometheus && tools.prometheus === undefined) {
    throw new UserError(
      "Prometheus can neither be found nor installed on this machine. Install it, or do without: " +
        "`pulumi config set --path dynamo-sky:metrics.prometheus false`.",
    );
  }
  return {
    pythonBin: python.path,
    etcd: services ? etcd?.path : undefined,
    natsServer: services ? natsServer?.path : undefined,
    nginx: gateway ? nginx?.path : undefined,
    prometheus: prometheus ? tools.prometheus?.path : undefined,
    hfHome: tools.hfHome ?? process.env["HF_HOME"] ?? join(homedir(), ".cache", "huggingface"),
    hubOffline: model !== undefined,
  };
}
