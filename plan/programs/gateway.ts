/**
 * The gateway: nginx in front of the frontends, the only thing that clients talk to. It lets in who has a key, limits what a key
 * may ask for, and shares requests out among the frontends. `runtime/gateway.py` runs it and knows the keys; here there are none.
 */
import { NODE_DIR, NODE_IP } from "../../lib/placeholders";
import { hasExporters } from "../config";
import { ownAddress, type PlanContext } from "../context";
import { type NodePorts, onePort, portsByPurpose } from "../ports";
import type { ProgramPlan } from "../types";
import { frontendPrograms } from "./frontend";

/**
 * Secret with the keys, in the node's secrets file: one key, or several as `name:key` with commas between them, a retired one
 * as `name:key@2026-12-01T00:00:00Z`. `runtime/gateway.py` reads it again whenever it changes.
 */
export const API_KEYS = "DYNAMO_SKY_API_KEY";

/**
 * Secret with the certificate and its key, PEM, where the gateway speaks TLS; in base64 or as it is. `runtime/gateway.py` reads it again
 * whenever it changes.
 */
export const TLS_BUNDLE = "DYNAMO_SKY_TLS";

/** Secrets that `runtime/gateway.py` reads again when they change: nothing is started anew for them. */
export const READ_AGAIN: readonly string[] = [API_KEYS, TLS_BUNDLE];

/** Variable with nginx's configuration; so the launcher fills in what is only known on the node. */
const NGINX_CONF = "DYNAMO_SKY_NGINX_CONF";

/**
 * Where `runtime/gateway.py` keeps the keys in nginx's form, in a file with mode 0600. The same name is in that file. Paths are relative, this one
 * to the configuration's directory and others to the node's, since nginx has no quotes for what a directory may be called.
 */
const KEYS_FILE = "gateway-keys.conf";

/** Where it keeps the certificate and the key, likewise. */
const TLS_FILE = "gateway-tls.pem";

/** A request that thinks for longer than this without a token is given up. Unit: seconds. */
const LONGEST_SILENCE = 3600;

/** A frontend that refused a connection gets no request for this long. Unit: seconds. */
const OUT_SECONDS = 5;

/** What clients talk to, for the head node: the frontends, behind the gateway where there is one. */
export function entrancePrograms(context: PlanContext, ports: NodePorts): ProgramPlan[] {
  if (!context.config.access.gateway) return frontendPrograms(context, ports);
  // First, so that it has the configured port.
  const needs = [onePort("http"), ...(hasExporters(context.config) ? [onePort("gatewayStatus")] : [])];
  const taken = portsByPurpose(needs, ports.takeAll(needs));
  const frontends = frontendPrograms(context, ports);
  return [gatewayProgram(context, taken, frontends), ...frontends];
}

function gatewayProgram(
  context: PlanContext,
  ports: ProgramPlan["ports"],
  frontends: readonly ProgramPlan[],
): ProgramPlan {
  const port = ports["http"] ?? 0;
  return {
    name: "gateway",
    role: "gateway",
    replica: 0,
    rank: 0,
    command: ["python3", `${NODE_DIR}/gateway.py`],
    env: { [NGINX_CONF]: nginxConf(context, port, frontends, ports["gatewayStatus"]) },
    secretEnv: [API_KEYS, ...(speaksTls(context) ? [TLS_BUNDLE] : [])],
    gpus: [],
    ports,
    waitsFor: [],
    health: { kind: "tcp", host: NODE_IP, port },
    stopSeconds: context.config.timeouts.stopSeconds,
  };
}

function speaksTls({ config }: PlanContext): boolean {
  return config.access.tls.mode !== "off";
}

/** Directives for TLS. Versions: https://wiki.mozilla.org/Security/Server_Side_TLS, "intermediate". */
function tlsDirectives(context: PlanContext): string {
  if (!speaksTls(context)) return "";
  return `
    ssl_certificate ${TLS_FILE};
    ssl_certificate_key ${TLS_FILE};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache shared:tls:10m;
    ssl_session_timeout 1h;
    ssl_session_tickets off;
    # Plain HTTP where TLS is spoken.
    error_page 497 =400 @plain;`;
}

/** nginx's configuration. Directives: https://nginx.org/en/docs/dirindex.html */
function nginxConf(
  context: PlanContext,
  port: number,
  frontends: readonly ProgramPlan[],
  statusPort: number | undefined,
): string {
  const { config } = context;
  const { maxRequestMB, requestsPerSecond, burst, connectionsPerKey } = config.access;
  const listen = config.target === "local" ? NODE_IP : "0.0.0.0";
  const servers = frontends.map(
    ({ ports }) =>
      `server ${ownAddress(context)}:${ports["frontendHttp"]} max_fails=1 fail_timeout=${OUT_SECONDS}s;`,
  );
  return `daemon off;
worker_processes 4;
pid run/gateway-nginx.pid;
error_log stderr warn;
# After the keys have changed, requests in progress end with the workers that they began with.
worker_shutdown_timeout ${LONGEST_SILENCE}s;
events { worker_connections 16384; }
http {
  ${TEMPORARY.map((kind) => `${kind}_temp_path run/gateway-${kind};`).join("\n  ")}
  server_tokens off;
  default_type application/json;
  log_format gateway '$time_iso8601 $remote_addr key="$key_name" "$request_method $uri" $status $body_bytes_sent bytes $request_time s';
  access_log /dev/stdout gateway buffer=32k flush=1s;

  # Empty for who has no key. Keys are lower-case: nginx ignores the case of what it looks up.
  map_hash_bucket_size 256;
  map $http_authorization $key_name {
    default "";
    include ${KEYS_FILE};
  }
  limit_req_zone $key_name zone=requests:1m rate=${requestsPerSecond}r/s;
  limit_conn_zone $key_name zone=connections:1m;
  limit_req_zone $binary_remote_addr zone=health:1m rate=20r/s;
  limit_req_status 429;
  limit_conn_status 429;
  limit_req_log_level info;
  limit_conn_log_level info;

  upstream frontends {
    zone frontends 128k;
    least_conn;
    ${servers.join("\n    ")}
    keepalive 64;
  }

  server {
    listen ${listen}:${port}${speaksTls(context) ? " ssl" : ""};${tlsDirectives(context)}
    client_max_body_size ${maxRequestMB}m;
    # In memory: the workers may be another user than the owner of the node's directory.
    client_body_buffer_size ${maxRequestMB}m;
    large_client_header_buffers 4 16k;
    send_timeout 300s;

    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    # The key ends here.
    proxy_set_header Authorization "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_buffering off;
    proxy_connect_timeout 2s;
    proxy_send_timeout 300s;
    proxy_read_timeout ${LONGEST_SILENCE}s;
    # A frontend that dies before it has answered anything: another one is asked. Not for its 503, which is the workers' affair.
    proxy_next_upstream error non_idempotent;

    error_page 400 @bad_request;
    error_page 401 @unauthorized;
    error_page 404 @unknown;
    error_page 413 @too_large;
    error_page 429 @too_many;
    error_page 500 502 503 504 =503 @not_ready;
${Object.entries(ERRORS)
  .filter(([name]) => name !== "plain" || speaksTls(context))
  .map(errorLocation)
  .join("\n")}

    location = /health {
      limit_req zone=health burst=40 nodelay;
      proxy_pass http://frontends/live;
    }
    location /v1/ {
      if ($key_name = "") { return 401; }
      limit_req zone=requests burst=${burst} nodelay;
      limit_conn connections ${connectionsPerKey};
      proxy_pass http://frontends;
    }
    location / {
      if ($key_name = "") { return 401; }
      return 404;
    }
  }
${statusPort === undefined ? "" : statusServer(`${ownAddress(context)}:${statusPort}`)}}
`;
}

/** How many connections there are, for the exporter of the same node. */
function statusServer(address: string): string {
  return `
  server {
    listen ${address};
    access_log off;
    location = ${STATUS_PATH} { stub_status; }
    location / { return 404; }
  }
`;
}

/** URL of the gateway's figures, for its own node; undefined where it has none. */
export function gatewayStatusUrl(context: PlanContext, { ports }: ProgramPlan): string | undefined {
  const port = ports["gatewayStatus"];
  return port === undefined ? undefined : `http://${ownAddress(context)}:${port}${STATUS_PATH}`;
}

/** https://nginx.org/en/docs/http/ngx_http_stub_status_module.html */
const STATUS_PATH = "/stub_status";

/** nginx makes all of these directories when it starts, wherever it was built to have them. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] as const;

interface ErrorAnswer {
  readonly status: number;
  readonly message: string;
  readonly type: string;
  readonly code: string;
  /** A further header. */
  readonly header?: string;
}

/** The gateway's own errors, in the shape that OpenAI's clients read: https://platform.openai.com/docs/guides/error-codes */
const ERRORS: Readonly<Record<string, ErrorAnswer>> = {
  bad_request: {
    status: 400,
    message: "The request is not valid HTTP.",
    type: "invalid_request_error",
    code: "bad_request",
  },
  plain: {
    status: 400,
    message: "This endpoint speaks HTTPS only.",
    type: "invalid_request_error",
    code: "https_required",
  },
  unauthorized: {
    status: 401,
    message: "No valid API key provided. Send it as: Authorization: Bearer YOUR_KEY",
    type: "invalid_request_error",
    code: "invalid_api_key",
    header: "WWW-Authenticate Bearer",
  },
  unknown: {
    status: 404,
    message: "Unknown request URL. The API is below /v1/.",
    type: "invalid_request_error",
    code: "unknown_url",
  },
  too_large: {
    status: 413,
    message: "The request is larger than this endpoint takes.",
    type: "invalid_request_error",
    code: "request_too_large",
  },
  too_many: {
    status: 429,
    message: "Too many requests with this API key at a time. Try again in a moment.",
    type: "requests",
    code: "rate_limit_exceeded",
    header: "Retry-After 1",
  },
  not_ready: {
    status: 503,
    message: "No frontend answers. Try again in a moment.",
    type: "server_error",
    code: "service_unavailable",
  },
};

function errorLocation([name, { status, message, type, code, header }]: readonly [
  string,
  ErrorAnswer,
]): string {
  const body = JSON.stringify({ error: { message, type, param: null, code } });
  const headers = header === undefined ? "" : ` add_header ${header} always;`;
  return `    location @${name} {${headers} return ${status} '${body}'; }`;
}
