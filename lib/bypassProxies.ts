/** Loaded before a tool or the driver: see `proxies.ts`. */
import { bypassProxies } from "./proxies";

bypassProxies();
