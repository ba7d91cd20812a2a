import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import OpenAI from "openai";
import { afterAll, expect, test } from "vitest";
import { eventually, TestDeployment } from "./support";

const deployment = new TestDeployment(
  {
    pools: [{ role: "aggregated", minReplicas: 1, maxReplicas: 4 }],
    engineArgs: ["--num-gpu-blocks-override", "250", "--max-num-seqs", "16"],
    autoscale: { target: "load", scaleUpKvPercent: 60, scaleDownKvPercent: 10, intervalSeconds: 2 },
  },
  { discovery: "etcd", events: "nats" },
);
afterAll(() => deployment.close());

test("decides", async () => {
  await deployment.up();
  const client = new OpenAI({ baseURL: `${deployment.endpoint}/v1`, apiKey: "none" });
  const file = join(deployment.machine.nodeDirectory(deployment.name), "run/decision.json");
  let on = true;
  const load = Promise.all(
    Array.from({ length: 48 }, async () => {
      while (on)
        await client.chat.completions.create({
          model: deployment.plan.model,
          messages: [{ role: "user", content: "word ".repeat(200) }],
          max_tokens: 200,
        });
    }),
  );
  await eventually(() => {
    console.log(existsSync(file) ? readFileSync(file, "utf8") : "none");
    expect(existsSync(file)).toBe(true);
  }, 90_000);
  on = false;
  await load;
}, 300_000);
