import { afterAll, beforeAll, expect, test } from "vitest";
import { philox } from "../../../../../../src/base/rng.ts";
import { Arena } from "../../../../../../src/engine/targets/cpu/kernels/arena.ts";
import { ThreadPool } from "../../../../../../src/engine/targets/cpu/kernels/threadPool.ts";

let pool: ThreadPool;
beforeAll(async () => {
  pool = await ThreadPool.create(1);
});
afterAll(() => pool.dispose());

test("the reference generator gives the known answers of Philox4x32-10", () => {
  // Random123's kat_vectors.
  const words = new Uint32Array(4);
  philox([0, 0, 0, 0], [0, 0], words);
  expect([...words]).toEqual([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
  const ones = 0xffffffff;
  philox([ones, ones, ones, ones], [ones, ones], words);
  expect([...words]).toEqual([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
  philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0], words);
  expect([...words]).toEqual([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
});

test("fillUniform equals the reference generator bit for bit, from any first row", async () => {
  const arena = new Arena(1 << 20);
  const words = new Uint32Array(4);
  for (const [dim, firstRow, stream, low, high, bound] of [
    [1, 0, 0, 0, 0, 1],
    [4, 7, 3, 123, 0, 0.25],
    [10, 0xfffffff0, 25, 0xdeadbeef, 77, 0.001],
    [65, 2 ** 31, 0xffffffff, 0xffffffff, 0xffffffff, 3],
  ] as const) {
    const stride = Math.ceil(dim / 4) * 4;
    const rows = 9;
    const target = arena.allocate(4 * stride * rows);
    const args = [target, firstRow, rows, dim, 4 * stride, stream, low, high, bound];
    await pool.run([{ kernel: "fillUniform", arena, arguments: args }]);
    const filled = arena.float32At(target, stride * rows);
    for (let r = 0; r < rows; r++) {
      for (let e = 0; e < stride; e++) {
        philox([e >>> 2, (firstRow + r) >>> 0, stream, 1], [low, high], words);
        const u = (words[e & 3]! >>> 8) * 2 ** -24;
        const wanted = e < dim ? Math.fround((2 * u - 1) * Math.fround(bound)) : 0;
        expect(filled[r * stride + e]).toBe(wanted);
      }
    }
  }
});

test("fillValue writes exactly its floats", async () => {
  const arena = new Arena(1 << 16);
  const target = arena.allocate(4 * 40);
  for (let count = 0; count <= 17; count++) {
    arena.float32At(target, 40).fill(-1);
    await pool.run([{ kernel: "fillValue", arena, arguments: [target + 4, count, NaN] }]);
    const wanted = Array.from({ length: 40 }, (_, i) => (i >= 1 && i <= count ? NaN : -1));
    expect([...arena.float32At(target, 40)]).toEqual(wanted);
  }
});
