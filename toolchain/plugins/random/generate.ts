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
  const { upper, special } = inputs;
  const characters = `${LOWER}${DIGITS}${upper === true ? UPPER : ""}${special === true ? SPECIAL : ""}`;
  return Array.from(
    { length: Number(inputs["length"]) },
    () => characters[randomInt(characters.length)],
  ).join("");
}
