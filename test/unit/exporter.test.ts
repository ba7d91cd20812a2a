/** `runtime/exporter.py` and `runtime/registry.py`, called from Python. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

function python(script: string, input = "") {
  const { stdout, stderr } = spawnSync("python3", ["-B", "-c", script], {
    cwd: join(__dirname, "../../runtime"),
    input,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return stdout;
}

describe("the exporter", () => {
  test("writes Prometheus's text: names together, labels escaped", () => {
    const script = String.raw`import exporter
page = exporter.Page()
page.add("a", "gauge", 1, name='q"\\\n')
page.add("b_total", "counter", 2.5)
page.add("a", "gauge", 3, name="z")
print(page.text(), end="")`;
    expect(python(script)).toBe(
      String.raw`# TYPE a gauge
a{name="q\"\\\n"} 1
a{name="z"} 3
# TYPE b_total counter
b_total 2.5
`,
    );
  });

  test("counts the gateway's answers while its log grows, is cut in the middle of a line and moved away", () => {
    const script = `import json, os, tempfile, exporter
kept = tempfile.TemporaryDirectory()
path = os.path.join(kept.name, "gateway.log")
line = '2027-01-31T18:00:00+00:00 127.0.0.1 key="%s" "POST /v1/chat/completions" %d 12 bytes 0.1 s\\n'
def write(text, mode="a"):
    with open(path, mode) as file: file.write(text)
log = exporter.AccessLog(path)
write(line % ("old", 200)); log.open(at_end=True); log.read()
write("accepted keys: a\\n" + line % ("a", 200) + (line % ("a", 429))[:40]); log.read()
before = dict((" ".join(key), count) for key, count in log.counts.items())
write((line % ("a", 429))[40:]); os.rename(path, path + ".1"); write(line % ("", 401), "w")
log.read(); assert log.is_rotated(); log.read(); log.open(at_end=False); log.read()
print(json.dumps([before, dict((" ".join(key), count) for key, count in log.counts.items())]))`;
    expect(JSON.parse(python(script))).toEqual([{ "a 200": 1 }, { "a 200": 1, "a 429": 1, " 401": 1 }]);
  });
});
