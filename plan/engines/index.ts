/** All engines, by the name that the configuration gives them. */
import type { EngineName } from "../types";
import type { Engine } from "./engine";
import { mocker } from "./mocker";
import { sglang } from "./sglang";
import { trtllm } from "./trtllm";
import { vllm } from "./vllm";

export const engines: Readonly<Record<EngineName, Engine>> = { sglang, vllm, trtllm, mocker };
