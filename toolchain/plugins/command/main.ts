/** `pulumi-resource-command`: started by the Pulumi engine with its address. */
import { startPlugin } from "../start";
import { commandProvider } from "./provider";

startPlugin("command", commandProvider);
