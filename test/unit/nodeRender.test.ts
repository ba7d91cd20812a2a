import { describe, expect, test } from "vitest";
import { programLog } from "../../plan/node/paths";
import { programSchema } from "../../plan/node/schema";
import type { ProgramPlan } from "../../plan/types";
import { python, specDigest, unitFiles } from "../runtime";

const program: ProgramPlan = {
  name: "decode-1",
  role: "decode",
  replica: 1,
  rank: 0,
  command: ["python3", "-m", "dynamo.mocker", "--name", "100% 'mine' \"$(id)\"\n[program:evil]"],
  env: { B: "2", A: "%(here)s" },
  secretEnv: ["HF_TOKEN"],
  gpus: [3, 4],
  ports: { system: 9101 },
  waitsFor: [
    { name: "etcd", probe: { kind: "http", url: "http://{{HEAD_IP}}:2379/health" }, timeoutSeconds: 60 },
  ],
  health: { kind: "http", url: "http://{{NODE_IP}}:9101/health" },
  stopSeconds: 29.5,
};

describe("the files of a node", () => {
  test("keep a program running for ever, and stop it by a signal to its main process", () => {
    const files = unitFiles("decode-1", [program]);
    expect(Object.keys(files)).toEqual(["units/decode-1/decode-1.conf", "units/decode-1/decode-1.json"]);
    expect(files["units/decode-1/decode-1.conf"]).toMatchInlineSnapshot(`
      "[program:decode-1]
      command=python3 launch.py units/decode-1/decode-1.json
      environment=DYNAMO_SKY_SPEC="2d0ebc12c96b45bd0b96dfbceb33ad0a"
      autostart=true
      autorestart=true
      startsecs=0
      startretries=1000000
      stopsignal=TERM
      stopwaitsecs=40
      stopasgroup=false
      killasgroup=true
      redirect_stderr=true
      stdout_logfile=logs/decode-1.log
      stdout_logfile_maxbytes=20MB
      stdout_logfile_backups=2
      "
    `);
  });

  test("leave an engine's launcher time to end what the engine has left, and others none", () => {
    const conf = (change: Partial<ProgramPlan>) =>
      unitFiles("decode-1", [{ ...program, ...change }])["units/decode-1/decode-1.conf"];
    expect(conf({ gpus: [] })).toContain("stopwaitsecs=30");
    expect(conf({ gpus: [3] })).toContain("stopwaitsecs=40");
  });

  test("hold nothing of a configuration where supervisor would read it", () => {
    const conf = unitFiles("decode-1", [program])["units/decode-1/decode-1.conf"] ?? "";
    expect(conf).not.toMatch(/evil|%|\$/);
    expect(conf.match(/^\[/gm)).toHaveLength(1);
  });

  test("are what the plan says, and the same however it was written", () => {
    const files = unitFiles("u", [program]);
    expect(programSchema.parse(JSON.parse(files["units/u/decode-1.json"] ?? ""))).toEqual(program);
    const reordered: ProgramPlan = { ...program, env: { A: "%(here)s", B: "2" } };
    expect(unitFiles("u", [reordered])).toEqual(files);
  });

  test("name supervisor's own configuration once", () => {
    const conf = python("import plan; print(plan.SUPERVISORD_CONF, end='')", null);
    expect(conf).toMatchInlineSnapshot(`
      "[supervisord]
      nodaemon=true
      silent=true
      umask=077
      logfile=logs/supervisord.log
      logfile_maxbytes=5MB
      logfile_backups=1
      pidfile=run/supervisord.pid
      minfds=1024

      [unix_http_server]
      file=%(ENV_DYNAMO_SKY_SOCKET)s
      chmod=0700

      [rpcinterface:supervisor]
      supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

      [supervisorctl]
      serverurl=unix://%(ENV_DYNAMO_SKY_SOCKET)s

      [include]
      files=units/*/*.conf
      "
    `);
    expect(programLog("decode-1")).toBe("logs/decode-1.log");
  });

  test.each(["", "a b", "../a", "a/b", "A", "a--b", "-a", "a\n", "a;b", "ä"])(
    "refuse the name %j",
    (name) => {
      expect(() => unitFiles("u", [{ ...program, name }])).toThrow("is no name for a program");
      expect(() => unitFiles(name, [program])).toThrow("is no name for a unit");
    },
  );

  test("refuse two programs of one name", () => {
    expect(() => unitFiles("u", [program, program])).toThrow("two programs of unit 'u' are named 'decode-1'");
  });
});

describe("the digest, whose change restarts a program", () => {
  const digest = specDigest(program);

  test.each<Partial<ProgramPlan>>([
    { command: ["other"] },
    { env: { A: "1" } },
    { secretEnv: [] },
    { gpus: [4, 3] },
    { waitsFor: [] },
    { name: "other" },
  ])("changes with %j", (change) => {
    expect(specDigest({ ...program, ...change })).not.toBe(digest);
  });

  test.each<Partial<ProgramPlan>>([
    { stopSeconds: 1 },
    { health: { kind: "tcp", host: "x", port: 1 } },
    { ports: { system: 1 } },
    { replica: 5 },
  ])("stays with %j", (change) => {
    expect(specDigest({ ...program, ...change })).toBe(digest);
  });
});
