/**
 * @file A caching allocator over any memory that can be asked for in large segments; it never touches the memory.
 *
 * Sizes are rounded to 512 B below 1 MiB, which are cut from segments of 2 MiB, and to 2 MiB above, each in a segment
 * of its own at first. A freed block merges with free neighbours of its segment and is kept; a request takes the
 * smallest free block that fits and splits off the rest. Blocks are therefore multiples of 512 B and as aligned.
 *
 * Freed memory is handed out at once: whoever uses it on several streams orders them.
 */
import { invariant } from "../../../../base/errors.ts";

/** Where segments come from. */
export interface MemoryBackend {
  /** Address of new memory, or undefined when there is not so much. */
  allocate(bytes: number): number | undefined;
  free(pointer: number): void;
}

/** What the allocator holds. */
export interface AllocatorStats {
  /** In blocks that are in use, rounded sizes. */
  readonly allocatedBytes: number;
  /** In segments. */
  readonly reservedBytes: number;
  /** Most that was in use at once. */
  readonly peakBytes: number;
  /** In use, by the name that was given for it. */
  readonly byHolder: ReadonlyMap<string, number>;
  /** Requests so far, and how many needed no new segment. */
  readonly allocations: number;
  readonly cacheHits: number;
}

/** A block of memory that is in use. */
export interface Allocation {
  readonly pointer: number;
  /** Rounded size. */
  readonly bytes: number;
  /** Gives it back; a second call does nothing. */
  free(): void;
}

const smallUnit = 512;
const largeUnit = 2 * 2 ** 20;
const smallLimit = 2 ** 20;

interface Block {
  readonly pointer: number;
  bytes: number;
  readonly small: boolean;
  /** Name of who uses it; undefined when free. */
  holder: string | undefined;
  /** Neighbours in the segment. */
  previous: Block | undefined;
  next: Block | undefined;
}

/** A caching allocator. */
export class CachingAllocator {
  readonly #backend: MemoryBackend;
  /** Free blocks of small and of large segments, by size and then address. */
  readonly #free: Record<"small" | "large", Block[]> = { small: [], large: [] };
  readonly #used = new Set<Block>();
  readonly #byHolder = new Map<string, number>();
  #allocatedBytes = 0;
  #reservedBytes = 0;
  #peakBytes = 0;
  #allocations = 0;
  #cacheHits = 0;

  constructor(backend: MemoryBackend) {
    this.#backend = backend;
  }

  /** A block of at least `bytes`, or undefined when there is not so much even after unused segments were returned. */
  allocate(bytes: number, holder: string): Allocation | undefined {
    const rounded = roundSize(bytes);
    const small = rounded < largeUnit;
    const list = this.#free[small ? "small" : "large"];
    const place = lowerBound(list, rounded, 0);
    let block = list[place];
    if (block) {
      list.splice(place, 1);
      this.#cacheHits++;
    } else block = this.#newSegment(small ? largeUnit : rounded, small);
    if (!block) return undefined;
    this.#split(block, rounded);
    block.holder = holder;
    this.#used.add(block);
    this.#allocations++;
    this.#count(holder, rounded);
    this.#peakBytes = Math.max(this.#peakBytes, this.#allocatedBytes);
    const taken = block;
    let freed = false;
    return {
      pointer: block.pointer,
      bytes: rounded,
      free: () => {
        if (freed) return;
        freed = true;
        this.#release(taken);
      },
    };
  }

  /** What is held. */
  stats(): AllocatorStats {
    return {
      allocatedBytes: this.#allocatedBytes,
      reservedBytes: this.#reservedBytes,
      peakBytes: this.#peakBytes,
      byHolder: new Map(this.#byHolder),
      allocations: this.#allocations,
      cacheHits: this.#cacheHits,
    };
  }

  /** Returns segments in which nothing is in use. */
  trim(): void {
    for (const kind of ["small", "large"] as const) {
      const kept: Block[] = [];
      for (const block of this.#free[kind]) {
        if (block.previous || block.next) kept.push(block);
        else this.#returnSegment(block);
      }
      this.#free[kind] = kept;
    }
  }

  /** Returns all segments; blocks that are in use become invalid. */
  dispose(): void {
    for (const block of this.#used) this.#release(block);
    this.trim();
    invariant(this.#reservedBytes === 0 && this.#allocatedBytes === 0, "all segments are returned");
  }

  #newSegment(bytes: number, small: boolean): Block | undefined {
    let pointer = this.#backend.allocate(bytes);
    if (pointer === undefined) {
      this.trim();
      pointer = this.#backend.allocate(bytes);
    }
    if (pointer === undefined) return undefined;
    this.#reservedBytes += bytes;
    return { pointer, bytes, small, holder: undefined, previous: undefined, next: undefined };
  }

  #returnSegment(block: Block): void {
    this.#backend.free(block.pointer);
    this.#reservedBytes -= block.bytes;
  }

  /** Shortens a block and frees the rest. */
  #split(block: Block, bytes: number): void {
    const rest = block.bytes - bytes;
    if (rest === 0) return;
    const second: Block = {
      pointer: block.pointer + bytes,
      bytes: rest,
      small: block.small,
      holder: undefined,
      previous: block,
      next: block.next,
    };
    if (block.next) block.next.previous = second;
    block.next = second;
    block.bytes = bytes;
    this.#insertFree(second);
  }

  #release(block: Block): void {
    if (block.holder === undefined) return;
    this.#count(block.holder, -block.bytes);
    block.holder = undefined;
    this.#used.delete(block);
    let merged = block;
    if (block.next && block.next.holder === undefined) {
      this.#removeFree(block.next);
      absorbNext(block);
    }
    if (block.previous && block.previous.holder === undefined) {
      merged = block.previous;
      this.#removeFree(merged);
      absorbNext(merged);
    }
    this.#insertFree(merged);
  }

  #insertFree(block: Block): void {
    const list = this.#free[block.small ? "small" : "large"];
    list.splice(lowerBound(list, block.bytes, block.pointer), 0, block);
  }

  #removeFree(block: Block): void {
    const list = this.#free[block.small ? "small" : "large"];
    const place = lowerBound(list, block.bytes, block.pointer);
    invariant(list[place] === block, "a free block is in its list");
    list.splice(place, 1);
  }

  #count(holder: string, bytes: number): void {
    this.#allocatedBytes += bytes;
    const held = (this.#byHolder.get(holder) ?? 0) + bytes;
    if (held === 0) this.#byHolder.delete(holder);
    else this.#byHolder.set(holder, held);
  }
}

/** Bytes that a request takes. */
function roundSize(bytes: number): number {
  const unit = bytes < smallLimit ? smallUnit : largeUnit;
  return Math.max(1, Math.ceil(bytes / unit)) * unit;
}

function absorbNext(block: Block): void {
  const { next } = block;
  invariant(next, "a block has a neighbour to absorb");
  block.bytes += next.bytes;
  block.next = next.next;
  if (next.next) next.next.previous = block;
}

/** Place of the first block that is not before (bytes, pointer). */
function lowerBound(list: readonly Block[], bytes: number, pointer: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const block = list[middle]!;
    if (block.bytes < bytes || (block.bytes === bytes && block.pointer < pointer)) low = middle + 1;
    else high = middle;
  }
  return low;
}
