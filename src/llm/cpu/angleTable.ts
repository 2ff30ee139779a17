/**
 * @file Cosines and sines of rotary positions in the memory of the kernels, made once for all layers and sequences. Kinds
 * whose angles change with the length of the sequence are made anew when it changes.
 */
import type { Heap } from "../../engine/targets/cpu/index.ts";
import { dependsOnLength, rotaryAngles, type RotaryConfig } from "../models/rotary.ts";

/** Where rows of angles lie: `[places, 2, dim / 2]`. */
export interface Angles {
  readonly pointer: number;
  /** Place of the first row. */
  readonly from: number;
}

const FEWEST_ROWS = 256;

/** The angles of one model. */
export class AngleTable {
  readonly #heap: Heap;
  readonly #rotary: RotaryConfig;
  readonly #changes: boolean;
  #pointer = 0;
  #from = 0;
  #rows = 0;
  #length = 0;
  /** Tables that were made anew while somebody used them. */
  readonly #outdated: number[] = [];

  constructor(heap: Heap, rotary: RotaryConfig) {
    this.#heap = heap;
    this.#rotary = rotary;
    this.#changes = dependsOnLength(rotary);
  }

  /**
   * The angles of some places; valid until {@link sweep}.
   * @param length tokens of the sequence, with the newest
   */
  at(first: number, count: number, length: number): Angles {
    if (this.#changes) {
      const isHeld = first >= this.#from && first + count <= this.#from + this.#rows;
      if (!isHeld || length !== this.#length) this.#make(first, count, length);
    } else if (first + count > this.#rows) {
      this.#make(0, Math.max(2 * this.#rows, first + count, FEWEST_ROWS), 0);
    }
    return { pointer: this.#pointer, from: this.#from };
  }

  /** Frees tables that were made anew: nobody uses what `at` gave before. */
  sweep(): void {
    for (const pointer of this.#outdated.splice(0)) this.#heap.free(pointer);
  }

  #make(from: number, rows: number, length: number): void {
    const { dim } = this.#rotary;
    const pointer = this.#heap.allocate(4 * rows * dim);
    if (this.#pointer !== 0) this.#outdated.push(this.#pointer);
    this.#pointer = pointer;
    rotaryAngles(
      this.#rotary,
      { rows, first: from, length },
      this.#heap.float32At(this.#pointer, rows * dim),
    );
    this.#from = from;
    this.#rows = rows;
    this.#length = length;
  }
}
