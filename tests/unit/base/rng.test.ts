/** @file Philox against the authors' known answers, and the statistics of the stream drawn from it. */
import { describe, expect, test } from "vitest";
import { philox, Rng } from "../../../src/base/rng.ts";

type Words4 = [number, number, number, number];

/** Known answers of the Random123 distribution (kat_vectors, philox4x32 with 10 rounds). */
test.each<[string, Words4, [number, number], string]>([
  ["zeros", [0, 0, 0, 0], [0, 0], "6627e8d5 e169c58d bc57ac4c 9b00dbd8"],
  [
    "ones",
    [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    "408f276d 41c83b0e a20bc7c6 6d5451fd",
  ],
  [
    "digits of pi",
    [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
    [0xa4093822, 0x299f31d0],
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  ],
])("philox4x32-10 of %s", (_, counter, key, words) => {
  const out = new Uint32Array(4);
  philox(counter, key, out);
  expect([...out].map((word) => word.toString(16).padStart(8, "0")).join(" ")).toBe(words);
});

const draws = 100_000;
const list = (draw: () => number) => Array.from({ length: draws }, draw);
const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;

/** The first words of a stream, as text. */
function first(seed: number, stream?: number): string {
  const rng = new Rng(seed, stream);
  return Array.from({ length: 9 }, () => rng.uint32()).join();
}

describe("Rng", () => {
  test("uniform: mean, variance and range", () => {
    const rng = new Rng(1);
    const values = list(() => rng.uniform());
    expect(mean(values)).toBeCloseTo(0.5, 2);
    expect(mean(values.map((x) => (x - 0.5) ** 2))).toBeCloseTo(1 / 12, 2);
    expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
  });

  test("normal: first four moments", () => {
    const rng = new Rng(2);
    const values = list(() => rng.normal());
    expect(Math.abs(mean(values))).toBeLessThan(0.015);
    expect(mean(values.map((x) => x ** 2))).toBeCloseTo(1, 1);
    expect(Math.abs(mean(values.map((x) => x ** 3)))).toBeLessThan(0.05);
    expect(Math.abs(mean(values.map((x) => x ** 4)) - 3)).toBeLessThan(0.15);
  });

  test("integer: every value equally often", () => {
    const rng = new Rng(3);
    const counts = new Float64Array(7);
    for (let i = 0; i < draws; i++) counts[rng.integer(7)]!++;
    const expected = draws / 7;
    const chiSquared = counts.reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
    expect(chiSquared).toBeLessThan(22.5); // 0.1 % point for 6 degrees of freedom
  });

  test("shuffle: keeps the items, and each lands everywhere equally often", () => {
    const rng = new Rng(4);
    const counts = new Float64Array(5);
    for (let i = 0; i < 20_000; i++) {
      const items = rng.shuffle([0, 1, 2, 3, 4]);
      counts[items.indexOf(0)]!++;
      expect(items.toSorted()).toEqual([0, 1, 2, 3, 4]);
    }
    const chiSquared = counts.reduce((sum, n) => sum + (n - 4000) ** 2 / 4000, 0);
    expect(chiSquared).toBeLessThan(18.5); // 0.1 % point for 4 degrees of freedom
  });

  test("words are those of consecutive blocks, however many were drawn", () => {
    for (const seed of [9, 9 + 3 * 2 ** 32]) {
      const rng = new Rng(seed, 7);
      const block = new Uint32Array(4);
      for (let b = 0; b < 2000; b++) {
        philox([b, 0, 7, 0], [9, Math.floor(seed / 2 ** 32)], block);
        expect([rng.uint32(), rng.uint32(), rng.uint32(), rng.uint32()]).toEqual([...block]);
      }
    }
  });

  test("integer: takes the remainder of the first word that favours no number", () => {
    for (const n of [1, 3, 1000, 2 ** 31, 2 ** 31 + 1, 2 ** 32 - 1, 2 ** 32]) {
      const [rng, words] = [new Rng(8), new Rng(8)];
      const limit = Math.floor(2 ** 32 / n) * n;
      for (let i = 0; i < 300; i++) {
        let word = words.uint32();
        while (word >= limit) word = words.uint32();
        expect(rng.integer(n)).toBe(word % n);
      }
    }
  });

  test("a seed repeats its numbers; other seeds and streams give others", () => {
    expect(first(5)).toBe(first(5));
    expect(new Set([first(5), first(6), first(5, 1), first(5 + 2 ** 32)]).size).toBe(4);
  });

  test("streams of one seed are not correlated", () => {
    const [a, b] = [new Rng(8, 0), new Rng(8, 1)];
    const products = list(() => (a.uniform() - 0.5) * (b.uniform() - 0.5));
    expect(Math.abs(mean(products)) * 12).toBeLessThan(0.015);
  });
});
