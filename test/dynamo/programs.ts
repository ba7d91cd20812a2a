/** Small programs for tests of what runs on a node, where Dynamo itself does not matter. */
import type { ProgramPlan } from "../../plan/types";

/** Answers on a port; with the launcher's Python, so that it starts within a moment. */
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
  /** Port whose answer counts as health. */
  readonly port: number;
  readonly args?: readonly string[];
  readonly change?: Partial<ProgramPlan>;
}

/** A program made of a Python text. */
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
