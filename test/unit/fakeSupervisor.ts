/** A node's directory with a stand-in for its supervisor, which notes what it is asked. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { runtimeFiles } from "../../lib/runtimeFiles";

const fault = (code: number) => `<methodResponse><fault><value><struct>
<member><name>faultCode</name><value><int>${code}</int></value></member>
<member><name>faultString</name><value><string>BECAUSE: x</string></value></member></struct></value></fault></methodResponse>`;
const answer = (value: string) =>
  `<methodResponse><params><param><value>${value}</value></param></params></methodResponse>`;
const list = (...values: readonly string[]) =>
  `<array><data>${values.map((value) => `<value>${value}</value>`).join("")}</data></array>`;

export class FakeSupervisor {
  readonly directory = mkdtempSync(join(tmpdir(), "dsky-units-"));
  /** Methods that change something, in order. */
  calls: string[] = [];
  /** The fault with which a change is refused. */
  refusal: number | undefined;
  private server: Server | undefined;

  constructor() {
    for (const [name, content] of Object.entries(runtimeFiles()))
      writeFileSync(join(this.directory, name), content);
    mkdirSync(join(this.directory, "run"));
  }

  /** Puts a unit of one program on the node. */
  put(program: { readonly name: string }): void {
    const unit = this.unit(program.name);
    mkdirSync(unit, { recursive: true });
    writeFileSync(join(unit, `${program.name}.json`), JSON.stringify(program));
    writeFileSync(join(unit, `${program.name}.conf`), "");
  }

  /** Directory of a unit. */
  unit(name: string): string {
    return join(this.directory, "units", name);
  }

  async listen(): Promise<void> {
    this.server = createServer(async (request, response) => {
      const method = /supervisor\.(\w+)</.exec(await text(request))?.[1] ?? "";
      if (!method.startsWith("get")) this.calls.push(method);
      response.end(this.reply(method));
    });
    const path = join(this.directory, "supervisor.sock");
    await new Promise<void>((resolve) => this.server?.listen(path, resolve));
  }

  close(): void {
    this.server?.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  private reply(method: string): string {
    if (method === "getPID") return answer(`<int>${process.pid}</int>`);
    if (method === "getState") return answer("<int>1</int>");
    if (method === "getAllProcessInfo") return answer(list());
    if (method === "reloadConfig") return answer(list(list(list(), list(), list())));
    return this.refusal === undefined ? answer("<boolean>1</boolean>") : fault(this.refusal);
  }
}
