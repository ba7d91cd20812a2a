/** Generates the random values. */
import { randomInt } from "node:crypto";
import { hash } from "bcryptjs";
import type { PropertyMap } from "../rpc/properties";
import type { RandomType } from "./schemas";

/** A new resource's id and generated properties. */
export interface Generated {
  id: string;
  properties: PropertyMap;
}

/** Generates a new value from complete and validated inputs. */
export async function generate(type: RandomType, inputs: PropertyMap): Promise<Generated> {
  switch (type) {
    case "random:index/randomString:RandomString": {
      const result = randomString(inputs);
      return { id: result, properties: { result } };
    }
    case "random:index/randomPassword:RandomPassword": {
      const result = randomString(inputs);
      // Ten rounds, and the older of two prefixes of the same algorithm, like the official plugin.
      const bcryptHash = (await hash(result, 10)).replace(/^\$2b\$/, "$2a$");
      return { id: "none", properties: { bcryptHash, result } };
    }
  }
}

const UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER = UPPER.toLowerCase();
const DIGITS = "0123456789";
const SPECIAL = "!@#$%&*()-_=+[]{}<>:?";

function randomString(inputs: PropertyMap): string {
  const special = text(inputs, "overrideSpecial") || SPECIAL;
  const classes = [
    { characters: UPPER, minimum: Number(inputs["minUpper"]), used: inputs["upper"] },
    { characters: LOWER, minimum: Number(inputs["minLower"]), used: inputs["lower"] },
    { characters: DIGITS, minimum: Number(inputs["minNumeric"]), used: inputs["numeric"] },
    { characters: special, minimum: Number(inputs["minSpecial"]), used: inputs["special"] },
  ];
  const demanded = classes.flatMap(({ characters, minimum }) => pick(characters, minimum));
  const all = classes.map(({ characters, used }) => (used === true ? characters : "")).join("");
  return shuffle([...demanded, ...pick(all, Number(inputs["length"]) - demanded.length)]).join("");
}

function pick(characters: string, count: number): string[] {
  const choices = Array.from(characters);
  return Array.from({ length: count }, () => oneOf(choices));
}

function oneOf(choices: readonly string[]): string {
  return choices[randomInt(choices.length)] ?? "";
}

/** Fisher-Yates shuffle. */
function shuffle(items: string[]): string[] {
  for (let last = items.length - 1; last > 0; last--) {
    const other = randomInt(last + 1);
    [items[last], items[other]] = [items[other] ?? "", items[last] ?? ""];
  }
  return items;
}

function text(inputs: PropertyMap, name: string): string {
  const value = inputs[name];
  return typeof value === "string" ? value : "";
}
