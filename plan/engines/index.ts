/** All engines, by their name in the configuration. */
import type { EngineName } from "../types";
import type { Engine } from "./engine";
import { mocker } from "./mocker";
import { sglang } from "./sglang";
import { trtllm } from "./trtllm";
import { vllm } from "./vllm";

export const engines: Readonly<Record<EngineName, Engine>> = { sglang, vllm, trtllm, mocker };
