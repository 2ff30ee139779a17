/** @file The caching allocator over memory that is only counted. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  CachingAllocator,
  type Allocation,
  type MemoryBackend,
} from "../../../../../../src/engine/targets/cuda/memory/cachingAllocator.ts";

const KiB = 1024;
const MiB = 1024 * KiB;

/** Memory of a fixed size whose pieces never touch. */
class CountedMemory implements MemoryBackend {
  readonly pieces = new Map<number, number>();
  readonly #capacity: number;
  #next = 512;

  constructor(capacity = Infinity) {
    this.#capacity = capacity;
  }

  get bytes(): number {
    return [...this.pieces.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  allocate(bytes: number): number | undefined {
    if (this.bytes + bytes > this.#capacity) return undefined;
    const pointer = this.#next;
    this.#next += bytes + 512;
    this.pieces.set(pointer, bytes);
    return pointer;
  }

  free(pointer: number): void {
    expect(this.pieces.delete(pointer)).toBe(true);
  }
}

function inOnePiece(memory: CountedMemory, { pointer, bytes }: Allocation): boolean {
  return [...memory.pieces].some(([start, size]) => pointer >= start && pointer + bytes <= start + size);
}

/** Runs requests and returns at random and checks the books after each. Sizes in 512 B up to some MiB. */
function walk(steps: readonly { take: boolean; size: number; pick: number }[], capacity: number): void {
  const memory = new CountedMemory(capacity);
  const allocator = new CachingAllocator(memory);
  const held: { allocation: Allocation; holder: string }[] = [];
  let peak = 0;
  for (const { take, size, pick } of steps) {
    if (take) {
      const holder = `h${pick % 3}`;
      const allocation = allocator.allocate(size, holder);
      if (allocation) {
        expect(allocation.bytes).toBeGreaterThanOrEqual(size);
        expect(allocation.pointer % 512).toBe(0);
        expect(inOnePiece(memory, allocation)).toBe(true);
        const { pointer, bytes } = allocation;
        const overlap = held.some(
          ({ allocation: other }) => pointer < other.pointer + other.bytes && other.pointer < pointer + bytes,
        );
        expect(overlap).toBe(false);
        held.push({ allocation, holder });
      }
    } else if (held.length > 0) {
      held.splice(pick % held.length, 1)[0]!.allocation.free();
    }
    const used = held.reduce((sum, { allocation }) => sum + allocation.bytes, 0);
    peak = Math.max(peak, used);
    const stats = allocator.stats();
    expect(stats.allocatedBytes).toBe(used);
    expect(stats.peakBytes).toBe(peak);
    expect(stats.reservedBytes).toBe(memory.bytes);
    expect([...stats.byHolder.values()].reduce((sum, bytes) => sum + bytes, 0)).toBe(used);
  }
  for (const { allocation } of held) allocation.free();
  // With nothing in use every segment is whole again.
  allocator.trim();
  expect(memory.pieces.size).toBe(0);
  expect(allocator.stats()).toMatchObject({ allocatedBytes: 0, reservedBytes: 0 });
}

const size = fc.oneof(fc.integer({ min: 0, max: 4 * KiB }), fc.integer({ min: 0, max: 6 * MiB }));
const step = fc.record({ take: fc.boolean(), size, pick: fc.nat() });

describe("the caching allocator", () => {
  test("never overlaps, keeps its books and gives all back, whatever the requests", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => walk(steps, 24 * MiB)),
      { numRuns: 60 },
    );
  });

  test("leaks nothing over 10,000 random steps", () => {
    let state = 7;
    const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
    const steps = Array.from({ length: 10_000 }, () => ({
      take: random() < 0.5,
      size: Math.floor(random() < 0.5 ? random() * 4 * KiB : random() * 6 * MiB),
      pick: Math.floor(random() * 1000),
    }));
    walk(steps, 64 * MiB);
  });

  test("rounds to 512 B below 1 MiB and to 2 MiB above", () => {
    const allocator = new CachingAllocator(new CountedMemory());
    const rounded = [0, 1, 512, 513, MiB - 1, MiB, 2 * MiB, 2 * MiB + 1].map(
      (bytes) => allocator.allocate(bytes, "x")!.bytes,
    );
    expect(rounded).toEqual([512, 512, 512, 1024, MiB, 2 * MiB, 2 * MiB, 4 * MiB]);
  });

  test("uses freed memory again, the smallest piece that fits", () => {
    const memory = new CountedMemory();
    const allocator = new CachingAllocator(memory);
    const [large, medium] = [8, 4].map((size) => allocator.allocate(size * MiB, "x")!);
    large!.free();
    medium!.free();
    expect(allocator.allocate(3 * MiB, "x")!.pointer).toBe(medium!.pointer);
    expect(allocator.allocate(2 * MiB, "x")!.pointer).toBe(large!.pointer);
    expect(allocator.allocate(6 * MiB, "x")!.pointer).toBe(large!.pointer + 2 * MiB);
    expect(allocator.stats()).toMatchObject({ allocations: 5, cacheHits: 3, reservedBytes: 12 * MiB });
  });

  test("returns what is unused before it says that there is no more", () => {
    const allocator = new CachingAllocator(new CountedMemory(8 * MiB));
    allocator.allocate(6 * MiB, "x")!.free();
    expect(allocator.allocate(8 * MiB, "y")!.bytes).toBe(8 * MiB);
    expect(allocator.allocate(1, "z")).toBeUndefined();
    expect(allocator.stats().byHolder).toEqual(new Map([["y", 8 * MiB]]));
  });

  test("takes a second free of the same piece for nothing", () => {
    const allocator = new CachingAllocator(new CountedMemory());
    const first = allocator.allocate(100, "x")!;
    first.free();
    const second = allocator.allocate(100, "x")!;
    first.free();
    expect(second.pointer).toBe(first.pointer);
    expect(allocator.stats().allocatedBytes).toBe(512);
  });

  test("gives all back when it is disposed of, also what is in use", () => {
    const memory = new CountedMemory();
    const allocator = new CachingAllocator(memory);
    for (const bytes of [1, 1000, 3 * MiB]) allocator.allocate(bytes, "x");
    allocator.dispose();
    expect(memory.pieces.size).toBe(0);
  });
});
