/** Imported first by tools and the driver: see `proxies.ts`. */
import { bypassProxies } from "./proxies";

bypassProxies();
