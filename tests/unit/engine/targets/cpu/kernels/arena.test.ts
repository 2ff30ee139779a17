import { expect, test } from "vitest";
import { Arena, ARENA_MAX_BYTES } from "../../../../../../src/engine/targets/cpu/kernels/arena.ts";

test("allocations are zeroed, aligned to 64 bytes, apart, and never at 0", () => {
  const arena = new Arena(10_000);
  const pointers = [1, 64, 65, 0, 4].map((bytes) => arena.allocate(bytes));
  expect(pointers).toEqual([64, 128, 192, 320, 320]);
  expect(arena.int32At(pointers[2]!, 10).every((x) => x === 0)).toBe(true);
  expect(arena.memory.buffer).toBeInstanceOf(SharedArrayBuffer);
});

test("a full arena and one beyond 4 GiB are refused with sizes", () => {
  const arena = new Arena(100);
  arena.allocate(arena.sizeBytes - 64);
  expect(() => arena.allocate(1)).toThrow(expect.objectContaining({ code: "ARENA_FULL" }));
  expect(() => new Arena(2 ** 32 + 1)).toThrow(expect.objectContaining({ code: "ARENA_TOO_LARGE" }));
});

test("pointers above 2 GiB reach the end of the largest arena", () => {
  const arena = new Arena(ARENA_MAX_BYTES - 64);
  arena.allocate(ARENA_MAX_BYTES - 192);
  const last = arena.allocate(64);
  expect(last).toBeGreaterThan(2 ** 31);
  arena.float32At(last, 16).fill(3);
  expect(arena.float32At(last, 16)[15]).toBe(3);
});
