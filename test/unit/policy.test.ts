/** The rules of the policy pack, and their input. */
import { describe, expect, test } from "vitest";
import { issueCertificate } from "../../lib/tls/issue";
import {
  autostopOrOwner,
  gpuCeiling,
  priceCeiling,
  publicEndpoint,
  spotOnlyForWorkers,
} from "../../observability/policy/rules";
import { parseConfig } from "../../plan/config";
import { type ClusterInventory, type Inventory, inventoryOf, inventorySchema } from "../../plan/inventory";
import { plan } from "../../plan/plan";

const UNKNOWN = { dollarsPerHour: null, mostDollarsPerHour: null };
const model = "Qwen/Qwen3-8B";

function inventory(written: Readonly<Record<string, unknown>> = {}): Inventory {
  const config = parseConfig({ model, pools: [{ role: "aggregated", replicas: 8 }], ...written });
  return inventoryOf(config, plan(config, { discovery: "etcd", events: "nats" }), UNKNOWN);
}

function cluster(of: Inventory, name: string): ClusterInventory {
  const found = of.clusters.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no cluster ${name}`);
  return found;
}

describe("what a policy sees", () => {
  test("is what the schema says, and nothing else", () => {
    const written = inventory({ sky: { labels: { owner: "a" }, autostopMinutes: 5 } });
    expect(inventorySchema.strict().parse(written)).toEqual(written);
  });

  test("are rented GPUs, used or not, and none on this machine", () => {
    expect(inventory().gpus).toBe(8);
    expect(inventory({ cluster: { nodes: 2, allowIdleGpus: true } }).gpus).toBe(16);
    const local = inventory({ target: "local", engine: "mocker", pools: [{ role: "aggregated" }] });
    expect(local.gpus).toBe(0);
    expect(local.clusters.map(({ spot }) => spot)).toEqual([false]);
  });

  test("is a control plane that is never spot when it has a cluster of its own", () => {
    const several = { placement: "dedicated", pools: [{ role: "aggregated", replicas: 2 }] };
    const found = inventory({ ...several, sky: { useSpot: true } });
    expect(found.clusters.map(({ name, spot }) => [name, spot])).toEqual([
      ["control", false],
      ["aggregated-0", true],
      ["aggregated-1", true],
    ]);
    expect(found.clusters.flatMap(spotOnlyForWorkers)).toEqual([]);
  });
});

describe("an endpoint, as a policy sees it", () => {
  const endpoint = (access: object, more: object = { sky: { openEndpoint: true } }) =>
    inventory({ access, ...more }).endpoint;
  const plain = { gateway: true, tls: { mode: "off" }, allowPlainHttp: true };
  const keyed = { public: true, key: true, tls: true };

  test("speaks TLS behind a gateway, unless it is told not to", () => {
    expect(endpoint({ gateway: true })).toEqual(keyed);
    expect(endpoint({ gateway: true, tls: { mode: "generated" } })).toEqual(keyed);
    expect(endpoint(plain)).toEqual({ ...keyed, tls: false });
    expect(endpoint({ gateway: true }, {})).toEqual({ ...keyed, public: false });
    expect(endpoint({}, {})).toEqual({ ...keyed, public: false });
    expect(endpoint({ gateway: false }, {})).toEqual({ public: false, key: false, tls: false });
  });

  test("speaks TLS with a certificate of one's own, and on this machine only where it is asked for", async () => {
    const { bundle, authority } = await issueCertificate("s".repeat(48), ["llm.example.com"]);
    const own = { sky: { openEndpoint: true }, tlsKey: bundle };
    expect(endpoint({ gateway: true, tls: { certificate: authority } }, own)).toEqual(keyed);
    const local = { target: "local", engine: "mocker", pools: [{ role: "aggregated" }] };
    expect(endpoint({ gateway: true }, local).tls).toBe(false);
    expect(endpoint({ gateway: true, tls: { mode: "generated" } }, local).tls).toBe(true);
  });

  test("is refused in plain HTTP, also where the program allows that", () => {
    const open = { sky: { openEndpoint: true } };
    expect(publicEndpoint(inventory({ access: { gateway: true }, ...open }))).toEqual([]);
    expect(publicEndpoint(inventory({ access: plain, ...open }))).toEqual([
      expect.stringContaining("set dynamo-sky:access.tls.mode to generated or own"),
    ]);
  });
});

describe("the rules", () => {
  const base = inventory();
  const open = (key: boolean, tls: boolean) => ({ ...base, endpoint: { public: true, key, tls } });

  test("a public endpoint has a key and TLS", () => {
    expect(publicEndpoint(base)).toEqual([]);
    expect(publicEndpoint(open(true, true))).toEqual([]);
    expect(publicEndpoint(open(true, false))).toEqual([expect.stringContaining("plain HTTP")]);
    expect(publicEndpoint(open(false, true))).toEqual([expect.stringContaining("no key")]);
    expect(publicEndpoint(open(false, false))).toHaveLength(2);
  });

  test("the ceiling itself is allowed, one more is not", () => {
    expect(gpuCeiling(base, 8)).toEqual([]);
    expect(gpuCeiling(base, 7)).toEqual([expect.stringContaining("rents 8 GPUs; allowed are 7")]);
    const priced = { ...base, dollarsPerHour: 55.04, mostDollarsPerHour: 98.32 };
    expect(priceCeiling(priced, 98.32, "refuse")).toEqual([]);
    expect(priceCeiling(priced, 98, "allow")).toEqual([expect.stringContaining("$98.32 an hour")]);
  });

  test("an unknown price is a matter of choice, unless what is known is too much", () => {
    expect(priceCeiling(base, 10, "allow")).toEqual([]);
    expect(priceCeiling(base, 10, "refuse")).toEqual([expect.stringContaining("Nobody knows")]);
    const half = { ...base, dollarsPerHour: 55.04 };
    expect(priceCeiling(half, 60, "refuse")).toEqual([expect.stringContaining("Nobody knows")]);
    expect(priceCeiling(half, 50, "allow")).toEqual([expect.stringContaining("$55.04 an hour")]);
    expect(priceCeiling({ ...base, target: "local" }, 0, "refuse")).toEqual([]);
  });

  test("spot is for workers alone", () => {
    const main = cluster(inventory({ sky: { useSpot: true } }), "main");
    expect(spotOnlyForWorkers(main)).toEqual([expect.stringContaining("runs etcd, nats,")]);
    expect(spotOnlyForWorkers({ ...main, spot: false })).toEqual([]);
    expect(spotOnlyForWorkers({ ...main, roles: ["prefill", "decode"] })).toEqual([]);
  });

  test("a cluster has an owner, or stops by itself", () => {
    const main = cluster(base, "main");
    expect(autostopOrOwner(main, "owner")).toEqual([expect.stringContaining("sky.labels.owner")]);
    expect(autostopOrOwner({ ...main, labels: { owner: " " } }, "owner")).toHaveLength(1);
    expect(autostopOrOwner({ ...main, labels: { owner: "team-a" } }, "owner")).toEqual([]);
    expect(autostopOrOwner({ ...main, labels: { team: "a" } }, "team")).toEqual([]);
    expect(autostopOrOwner({ ...main, autostopMinutes: 30 }, "owner")).toEqual([]);
  });
});
