/** The options of `size`, and traces of requests. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Written } from "../../cli/size/options";
import { prefixLoadOf } from "../../cli/size/prefixes";
import { traceText } from "../../cli/size/trace";
import { sizeOptions as options } from "./sizeAsked";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "dynamo-sky-size-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function problemsOf(written: Partial<Written>): string[] {
  try {
    options(written);
    return [];
  } catch (error) {
    return String(error instanceof Error ? error.message : error).split("\n");
  }
}

describe("the options of size", () => {
  it("are refused all at once, each by its name", () => {
    const wrong = {
      ...{ model: "", isl: "0", osl: "many", ttft: "-1", tpot: "1.5", gpus: "12" },
      ...{ engine: ["mocker"], accelerator: ["H1000"], price: ["free", "K80=1"], choose: "2" },
    };
    const named = problemsOf(wrong).map((line) => line.split(" ")[0]);
    const prices = ["--price", "--price"];
    const rest = ["--isl", "--osl", "--ttft", "--tpot", "--gpus", "--choose"];
    expect(named.toSorted()).toEqual(["--model", "--engine", "--accelerator", ...prices, ...rest].toSorted());
  });

  it("refuse answers of one token, which have no time for each other", () => {
    expect(problemsOf({ osl: "1" })).toEqual(['--osl "1" is not a whole number from 2 to 1000000.']);
    expect(problemsOf({ osl: "2" })).toEqual([]);
    const trace = join(directory, "trace.jsonl");
    writeFileSync(trace, '{"input_length": 40, "output_length": 1}');
    expect(problemsOf({ trace })[0]).toMatch(/^--trace ".*" has answers of 1 token in the mean\. Allowed: /);
  });

  it("name what is missing, and infra that there is not", () => {
    const oneOf =
      "Say one of --gpus (GPUs that there are), --rate (requests/s) and --concurrency (requests at a time): ";
    expect(problemsOf({ gpus: undefined })).toEqual([`${oneOf}none of them is there.`]);
    expect(problemsOf({ rate: "3", concurrency: "4" })).toEqual([
      `${oneOf}there are --gpus, --rate, --concurrency.`,
    ]);
    for (const rate of ["0", "-1", "fast", "Infinity", " "])
      expect(problemsOf({ gpus: undefined, rate })[0]).toMatch(/^--rate ".*" is no rate\. Allowed: /);
    expect(problemsOf({ gpus: undefined, concurrency: "1.5" })[0]).toMatch(/^--concurrency "1.5" is not a/);
    expect(problemsOf({ infra: ["no such cloud"] })[0]).toMatch(/^--infra: /);
    expect(problemsOf({ model: "not a name" })[0]).toMatch(/^--model: /);
  });

  it("refuse a file that is there, has another name, or no directory, before anything is asked", () => {
    const file = join(directory, "Pulumi.mine.yaml");
    expect(problemsOf({ write: file })).toEqual([]);
    writeFileSync(file, "");
    expect(problemsOf({ write: file })[0]).toMatch(/is there already, and nothing is overwritten/);
    expect(problemsOf({ write: join(directory, "mine.yaml") })[0]).toMatch(/Allowed: Pulumi.NAME.yaml/);
    expect(problemsOf({ write: join(directory, "x", "Pulumi.a.yaml") })[0]).toMatch(/no such directory/);
    const price = ["2.5"];
    expect(problemsOf({ chart: file, price })).toEqual([
      `--chart ${JSON.stringify(file)} is no picture's file. Allowed: NAME.svg.`,
    ]);
    expect(problemsOf({ chart: join(directory, "x", "a.svg"), price })[0]).toMatch(/no such directory/);
    expect(problemsOf({ chart: join(directory, "a.svg") })[0]).toMatch(/^--chart draws prices: say --price/);
  });

  it("refuse a picture whose price is of no accelerator that is tried, before anything is asked", () => {
    const chart = join(directory, "a.svg");
    expect(problemsOf({ chart, price: ["H100=3"], accelerator: ["H200"] })).toEqual([
      "--chart draws prices, and those of --price are not of H200: say --price (dollars an hour for a GPU), or --infra.",
    ]);
    expect(problemsOf({ chart, price: ["H100=3"], accelerator: ["H200", "H100"] })).toEqual([]);
    expect(problemsOf({ chart, price: ["H100=3", "2"], accelerator: ["H200"] })).toEqual([]);
  });

  it("refuse two prices of the same", () => {
    expect(problemsOf({ price: ["H100=2", "H100=3", "2", "H200=3"] })).toEqual([
      "--price says more than one price for H100. Allowed: one for each.",
    ]);
    expect(problemsOf({ price: ["2", "2"] })[0]).toMatch(/more than one price for all accelerators/);
  });
});

describe("shared prefixes", () => {
  const asked = { isl: "8500", sharedPrefix: "8000", prefixes: "8" };

  it("are a part of the prompt, and a number of them", () => {
    expect(options(asked)).toMatchObject({ isl: 8500, shared: { tokens: 8000, count: 8 } });
    expect(prefixLoadOf(options(asked))).toEqual({ isl: 8500, osl: 500, prefix: 8000, prefixes: 8 });
    expect(prefixLoadOf(options({}))).toBeUndefined();
  });

  it("are refused where one of the two is missing, and where they are all of the prompt", () => {
    expect(problemsOf({ sharedPrefix: "8" })).toEqual([
      "--prefixes is missing. Allowed: a whole number from 1 to 100000.",
    ]);
    expect(problemsOf({ prefixes: "8" })).toEqual([
      "--shared-prefix is missing. Allowed: a whole number from 1 to 1000000.",
    ]);
    expect(problemsOf({ ...asked, prefixes: "0" })[0]).toMatch(
      /^--prefixes "0" is not a whole number from 1/,
    );
    expect(problemsOf({ ...asked, isl: undefined })).toEqual([
      "--shared-prefix 8000 is not shorter than the prompts, which have 4000 tokens with it. Allowed: less than --isl.",
    ]);
  });
});

describe("a trace", () => {
  const written = (...lines: readonly string[]) => {
    const file = join(directory, "trace.jsonl");
    writeFileSync(file, lines.join("\n"));
    return { trace: file, isl: undefined, osl: undefined };
  };
  const request = (input: number, output: number, ...hashes: readonly number[]) =>
    JSON.stringify({ timestamp: 0, input_length: input, output_length: output, hash_ids: hashes });

  it("has the lengths of prompts and answers, and how many blocks had come before", () => {
    const { isl, osl, trace } = options(written(request(1000, 100, 1, 2), request(2000, 301, 1, 3), ""));
    expect({ isl, osl, trace }).toEqual({
      isl: 1500,
      osl: 201,
      trace: {
        ...{ file: join(directory, "trace.jsonl"), requests: 2, isl: 1500, osl: 201, seenBefore: 0.25 },
        blockTokens: undefined,
      },
    });
    if (trace === undefined) throw new Error("not read");
    expect(traceText(trace)).toMatch(/^trace: 2 requests; .* 1500 tokens, answers of 201; 25 % of/);
    expect(traceText({ ...trace, seenBefore: undefined })).not.toContain("%");
  });

  it("is replayed where its blocks are whole prompts", () => {
    const file = join(directory, "trace.jsonl");
    const asked = options(written(request(1000, 100, 1, 2), request(1025, 300, 1, 3, 4)));
    expect(prefixLoadOf(asked)).toEqual({ trace: file, blockTokens: 512 });
    if (asked.trace === undefined) throw new Error("not read");
    expect(traceText(asked.trace)).toMatch(/; 20 % of the prompts' blocks had come before$/);
    const small = options(written(request(40, 10, 1, 2, 3), request(48, 10, 1, 2, 4)));
    expect(prefixLoadOf(small)).toEqual({ trace: file, blockTokens: 16 });
    const mixed = options(written(request(1000, 100, 1, 2), '{"input_length": 9, "output_length": 9}'));
    expect(prefixLoadOf(mixed)).toBeUndefined();
    if (mixed.trace === undefined) throw new Error("not read");
    expect(traceText(mixed.trace)).toMatch(
      /which these numbers do not count: not every request has hash_ids/,
    );
  });

  it("is refused with the line that is no request, and beside lengths and prefixes", () => {
    expect(problemsOf(written(request(1, 1), "{}"))[0]).toMatch(/^--trace .*: line 2 is no request: /);
    expect(problemsOf(written("no JSON"))[0]).toMatch(/^--trace .*: line 1 is no request: /);
    expect(problemsOf(written(""))[0]).toMatch(/cannot be used: it has no request\. Wanted: lines such as/);
    expect(problemsOf({ ...written(""), trace: join(directory, "none") })[0]).toMatch(
      /^--trace .*there is no such file/,
    );
    expect(problemsOf({ ...written(request(1, 2)), prefixes: "5" })[0]).toMatch(/^--trace says itself what/);
    expect(problemsOf({ ...written(request(1, 2)), isl: "5" })[0]).toMatch(/^--trace has the lengths/);
  });
});
