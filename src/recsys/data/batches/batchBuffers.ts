/**
 * @file Memory for the batches that a data set hands out: SharedArrayBuffers, fresh for each batch or, in a loop that
 * is done with a batch after a few more, recycled from a ring.
 */
import type { ClickBatch } from "./batch.ts";
import type { EncodedLayout } from "../encode/encodedLayout.ts";

/** One batch's memory, kept until its turn comes again. */
interface Slot {
  floats: SharedArrayBuffer;
  doubles: SharedArrayBuffer;
  words: SharedArrayBuffer;
}

const NO_BYTES = new SharedArrayBuffer(0);

/** Hands out the arrays of batches. */
export class BatchBuffers {
  readonly #layout: EncodedLayout;
  readonly #slots: Slot[];
  #turn = 0;

  /** @param recycle how many batches stay valid at once; 0 gives every batch memory of its own */
  constructor(layout: EncodedLayout, recycle: number) {
    this.#layout = layout;
    this.#slots = Array.from({ length: recycle }, () => ({
      floats: NO_BYTES,
      doubles: NO_BYTES,
      words: NO_BYTES,
    }));
  }

  /** A batch of `size` rows and, when multi-hot, `ids` ids; its contents are undefined. */
  take(size: number, ids: number): ClickBatch {
    const { dense, tables, multiHot } = this.#layout;
    const bags = multiHot ? tables * size + 1 : 0;
    const slot = this.#slot(size * (dense + 1) * 4, size * 8, (bags + ids) * 4);
    return {
      size,
      dense: new Float32Array(slot.floats, size * 4, size * dense),
      labels: new Float32Array(slot.floats, 0, size),
      rows: new Float64Array(slot.doubles, 0, size),
      lookups: {
        size,
        tables,
        ids: new Int32Array(slot.words, bags * 4, ids),
        offsets: multiHot ? new Int32Array(slot.words, 0, bags) : null,
      },
    };
  }

  #slot(floatBytes: number, doubleBytes: number, wordBytes: number): Slot {
    if (this.#slots.length === 0) {
      return {
        floats: new SharedArrayBuffer(floatBytes),
        doubles: new SharedArrayBuffer(doubleBytes),
        words: new SharedArrayBuffer(wordBytes),
      };
    }
    const slot = this.#slots[this.#turn]!;
    this.#turn = (this.#turn + 1) % this.#slots.length;
    if (slot.floats.byteLength < floatBytes) slot.floats = new SharedArrayBuffer(floatBytes);
    if (slot.doubles.byteLength < doubleBytes) slot.doubles = new SharedArrayBuffer(doubleBytes);
    if (slot.words.byteLength < wordBytes) slot.words = new SharedArrayBuffer(Math.ceil(wordBytes * 1.25));
    return slot;
  }
}
