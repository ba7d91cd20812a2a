/** The connection between launchers (`runtime/peer.py`), with its real code at one end or both. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

/**
 * Runs Python next to the node's scripts; two ends are defined: `caller` and `listener`, connected by `meet`.
 */
function python(text: string): string {
  const before = `
import socket, sys
sys.dont_write_bytecode = True
from peer import Peer
left, right = socket.socketpair()
def tcp(one):
    # The options of TCP mean nothing to a pair.
    class Pair:
        def __getattr__(self, name): return getattr(one, name)
        def setsockopt(self, *_): pass
    return Pair()
caller, listener = Peer(tcp(left), True), Peer(tcp(right), False)
def meet(secret=b"a", other=b"a", replica="decode-0", expected="decode-0", rank=1):
    listener.challenge()
    [nonce] = caller.lines()
    caller.authenticate(secret, replica, rank, nonce)
    [hello] = listener.lines()
    return listener.verify(other, expected, [1, 2], hello), hello
`;
  const output = execFileSync("python3", ["-c", before + text], {
    cwd: join(__dirname, "..", "..", "runtime"),
    encoding: "utf8",
  });
  return output.trim();
}

describe("a connection between launchers", () => {
  it("admits who has the secret, and then takes lines of both", () => {
    const seen = python(`
admitted, hello = meet()
caller.send("leave"); listener.send("end", "its program ended with code 3")
print(admitted, listener.rank, listener.lines(), caller.lines(), "a" in hello.split())`);
    expect(seen).toBe("True 1 ['leave'] ['end its program ended with code 3'] False");
  });

  it.each([
    ["another secret", 'secret=b"b"'],
    ["another replica", 'replica="decode-1"'],
    ["a rank that there is not", "rank=3"],
  ])("does not admit %s", (_, change) => {
    expect(python(`print(meet(${change})[0], listener.key)`)).toBe("False None");
  });

  it("does not obey one who answers in the first rank's place without the secret", () => {
    const seen = python(`
from peer import session_key
meet(other=b"b")
listener.key = session_key(b"b", "decode-0", 1, listener.nonce, caller.nonce)
listener.send("start")
print(caller.lines())`);
    expect(seen).toBe("None");
  });

  it("does not take a hello that was recorded: the numbers are never the same", () => {
    const seen = python(`
_, hello = meet()
again, _other = socket.socketpair()
second = Peer(tcp(again), False)
print(second.verify(b"a", "decode-0", [1, 2], hello))`);
    expect(seen).toBe("False");
  });

  it.each([
    ["made up", 'left.sendall(b"0" * 64 + b" leave\\n"); print(listener.lines())'],
    ["without a proof", 'left.sendall(b"leave\\n"); print(listener.lines())'],
    [
      "changed",
      'caller.send("end x"); data = right.recv(4096); left.sendall(data.replace(b"end x", b"end y")); print(listener.lines())',
    ],
    [
      "sent twice",
      'caller.send("leave"); data = right.recv(4096); left.sendall(data); listener.lines(); left.sendall(data); print(listener.lines())',
    ],
    [
      "sent back",
      'listener.send("leave"); data = left.recv(4096); left.sendall(data); print(listener.lines())',
    ],
    ["too long", 'left.sendall(b"x" * 70000)\nwhile (lines := listener.lines()) == []: pass\nprint(lines)'],
  ])("ends at a line that is %s", (_, attack) => {
    expect(python(`meet()\n${attack}`)).toBe("None");
  });
});
