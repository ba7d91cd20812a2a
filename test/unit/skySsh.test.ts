/** SkyPilot's ssh entry where its HOME is not the user's. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { sshConfig } from "../../sky/ssh";

describe("the ssh entry of a cluster", () => {
  let home = "";
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), "sky-ssh-"));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const write = (proxies: readonly string[]): string => {
    const entry = join(home, ".sky", "generated", "ssh", "c");
    mkdirSync(dirname(entry), { recursive: true });
    const hosts = proxies.map((proxy, rank) => `Host c${rank}\n  Port 22\n  ProxyCommand ${proxy}\n`);
    writeFileSync(entry, hosts.join("\n"));
    return entry;
  };
  const options = () => sshConfig("c", home);

  it("is ssh's own in the user's home", () => {
    expect(sshConfig("c", homedir())).toEqual([]);
    expect(sshConfig("c", undefined)).toEqual([]);
  });

  // As on Kubernetes with SkyPilot 0.14.1: ssh takes `~` for the home of the password file.
  it("has its proxy's key in SkyPilot's home too", () => {
    const proxy = "ssh -i '~/.sky/generated/ssh-keys/c.key' -W '[%h]:%p' root@127.0.0.1";
    const entry = write([proxy, proxy]);
    const key = `${home}/.sky/generated/ssh-keys/c.key`;
    expect(options()).toEqual([
      ...["-F", entry, "-i", key],
      ...["-o", `ProxyCommand=ssh -i '${key}' -W '[%h]:%p' root@127.0.0.1`],
    ]);
  });

  it("keeps proxies that name no home, and those that differ from node to node", () => {
    write(["ssh -W %h:%p login"]);
    expect(options()).not.toContain("-o");
    write(["ssh -i ~/a", "ssh -i ~/b"]);
    expect(options()).not.toContain("-o");
  });
});
