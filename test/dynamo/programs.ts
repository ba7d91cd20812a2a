/** Small programs for tests of nodes without Dynamo itself. */
import type { ProgramPlan } from "../../plan/types";

/** Listens on a port; with the launcher's Python, for a fast start. */
const SERVER = `
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *args): pass
print("serving", flush=True)
http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
`;

/** A program that serves on a port of its node. */
export function server(name: string, port: number, change: Partial<ProgramPlan> = {}): ProgramPlan {
  return script(name, SERVER, { port, args: ["{{NODE_IP}}", String(port)], change });
}

interface ScriptOptions {
  /** Port of its health probe. */
  readonly port: number;
  readonly args?: readonly string[];
  readonly change?: Partial<ProgramPlan>;
}

/** A program from Python source. */
export function script(
  name: string,
  source: string,
  { port, args = [], change }: ScriptOptions,
): ProgramPlan {
  return {
    name,
    role: "frontend",
    replica: 0,
    rank: 0,
    command: ["python3", "-c", source, ...args],
    env: {},
    secretEnv: [],
    gpus: [],
    ports: { http: port },
    waitsFor: [],
    health: { kind: "http", url: `http://{{NODE_IP}}:${port}/` },
    stopSeconds: 2,
    ...change,
  };
}
