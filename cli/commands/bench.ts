/**
 * `dynamo-sky bench`: load test of a running deployment with aiperf; `bench compare A B`: whether two runs
 * differ.
 */
import { runCompare } from "../bench/compareCommand";
import { benchCommand } from "../bench/options";
import { runLoads } from "../bench/runCommand";

export const command = benchCommand({ run: runLoads, compare: runCompare });
