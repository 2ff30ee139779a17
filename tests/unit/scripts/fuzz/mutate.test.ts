/** @file Changed inputs: the same for the same seed, of a bounded size, and within their format half of the time. */
import { gunzipSync, gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { mutate } from "../../../../scripts/fuzz/mutate.ts";
import { mutateBytes, MOST_BYTES } from "../../../../scripts/fuzz/mutateBytes.ts";
import { mutateJson } from "../../../../scripts/fuzz/mutateJson.ts";
import { singleFiles, type FuzzTarget } from "../../../../scripts/fuzz/target.ts";

const target: FuzzTarget = {
  name: "made",
  makeSeeds: async () => [],
  words: ["word"],
  read: async () => undefined,
};

/** The changed file of each of so many inputs. */
function inputsOf(content: string | Uint8Array, count: number, of = target): Buffer[] {
  const seeds = singleFiles("file", [content]);
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(mutate(of, seeds, seeds[0]!, new Rng(1, i)).at(-1)!.bytes),
  );
}

it("makes the same input of the same seed and number, and leaves the seed as it is", () => {
  const seed = Buffer.from("a,b\n1,2\n");
  expect(inputsOf(seed, 200)).toEqual(inputsOf(seed, 200));
  expect(seed.toString()).toBe("a,b\n1,2\n");
  const different = new Set(inputsOf(seed, 200).map(String));
  expect(different.size).toBeGreaterThan(150);
});

it("keeps files below a size, also those that are repeated", () => {
  const source = { rng: new Rng(2), words: [], other: Buffer.alloc(400_000) };
  for (let i = 0; i < 300; i++)
    expect(mutateBytes(Buffer.alloc(400_000), source).length).toBeLessThanOrEqual(MOST_BYTES);
});

describe("within a format", () => {
  it("JSON stays JSON, and its values change", () => {
    const text = JSON.stringify({ a: [1, 2, { b: "x" }], c: null, d: { e: 0.5 } });
    const rng = new Rng(3);
    const changed = Array.from({ length: 300 }, () => mutateJson(text, rng)!);
    for (const json of changed) expect(() => JSON.parse(json) as unknown).not.toThrow();
    expect(changed.filter((json) => json !== text).length).toBeGreaterThan(250);
    expect(mutateJson("no JSON", rng)).toBeNull();
    expect(mutateJson("3", rng)).toBeNull();
  });

  it("gzip is packed again half of the time", () => {
    const whole = inputsOf(gzipSync("a text to change"), 300).filter((bytes) => {
      try {
        return gunzipSync(bytes).length >= 0;
      } catch {
        return false;
      }
    });
    expect(whole.length).toBeGreaterThan(100);
    expect(whole.some((bytes) => gunzipSync(bytes).toString() !== "a text to change")).toBe(true);
  });

  it("the header of safetensors keeps its length", () => {
    const header = Buffer.from('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}');
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const file = Buffer.concat([length, header, Buffer.alloc(4)]);
    const parsed = inputsOf(file, 300).filter((bytes) => {
      try {
        const size = Number(bytes.readBigUInt64LE(0));
        const text = bytes.toString("utf8", 8, 8 + size);
        return text.trim() !== header.toString() && JSON.parse(text) !== null;
      } catch {
        return false;
      }
    });
    expect(parsed.length).toBeGreaterThan(80);
  });

  it("checksums are mended most of the time", () => {
    const mended = inputsOf("text", 400, { ...target, mend: () => Buffer.from("mended") });
    const count = mended.filter((bytes) => bytes.toString() === "mended").length;
    expect(count).toBeGreaterThan(300);
    expect(count).toBeLessThan(400);
  });
});
