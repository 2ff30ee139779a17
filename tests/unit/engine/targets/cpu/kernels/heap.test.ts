/** @file Blocks of a memory that grows: apart from one another, used again, and refused beyond 4 GiB. */
import { expect, test } from "vitest";
import { Rng } from "../../../../../../src/base/rng.ts";
import { Heap } from "../../../../../../src/engine/targets/cpu/kernels/heap.ts";

test("blocks keep what was written to them while others come and go", () => {
  const heap = new Heap();
  const rng = new Rng(3);
  const held: { pointer: number; view: Float32Array; mark: number }[] = [];
  for (let round = 0; round < 2000; round++) {
    if (held.length > 0 && rng.uniform() < 0.48) {
      const [block] = held.splice(rng.integer(held.length), 1);
      expect(block!.view.every((x) => x === block!.mark)).toBe(true);
      heap.free(block!.pointer);
      continue;
    }
    const length = 1 + rng.integer(rng.uniform() < 0.1 ? 50_000 : 300);
    const pointer = heap.allocate(4 * length);
    expect(pointer % 64).toBe(0);
    const view = heap.float32At(pointer, length).fill(round);
    held.push({ pointer, view, mark: round });
  }
  for (const { pointer, view, mark } of held) {
    expect(view.every((x) => x === mark)).toBe(true);
    heap.free(pointer);
  }
  expect(heap.usedBytes).toBe(0);
});

test("memory that was freed is used again, neighbours together", () => {
  const heap = new Heap();
  const blocks = Array.from({ length: 64 }, () => heap.allocate(100_000));
  const grown = heap.memory.buffer.byteLength;
  for (const i of blocks.keys()) heap.free(blocks[(i * 37) % 64]!);
  expect(heap.usedBytes).toBe(0);
  const whole = heap.allocate(64 * 100_000);
  expect(heap.memory.buffer.byteLength).toBe(grown);
  heap.free(whole);
  for (let round = 0; round < 1000; round++) heap.free(heap.allocate(1000 + round));
  expect(heap.memory.buffer.byteLength).toBe(grown);
});

test("a heap is refused more than 4 GiB, and goes on", () => {
  const heap = new Heap();
  const pointer = heap.allocate(1000);
  expect(() => heap.allocate(2 ** 32)).toThrow(expect.objectContaining({ code: "HEAP_FULL" }));
  heap.free(pointer);
  expect(heap.allocate(1000)).toBe(pointer);
});
