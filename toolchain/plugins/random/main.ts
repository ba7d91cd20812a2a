/** `pulumi-resource-random`: started by the Pulumi engine with its address. */
import { startPlugin } from "../start";
import { randomProvider } from "./provider";

startPlugin("random", randomProvider);
