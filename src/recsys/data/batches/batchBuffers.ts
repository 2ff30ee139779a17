/**
 * @file Memory for the batches that a data set hands out: SharedArrayBuffers, fresh for each batch or, in a loop that
 * is done with a batch after a few more, recycled from a ring.
 */
import type { ClickBatch } from "./clickBatch.ts";
import type { EncodedLayout } from "../encode/encodedLayout.ts";

/** One batch's memory, kept until its turn comes again. */
interface BufferSet {
  floats: SharedArrayBuffer;
  doubles: SharedArrayBuffer;
  words: SharedArrayBuffer;
}

const NO_BYTES = new SharedArrayBuffer(0);

/** Hands out the arrays of batches. */
export class BatchBuffers {
  readonly #layout: EncodedLayout;
  readonly #sets: BufferSet[];
  #turn = 0;

  /** @param recycle how many batches stay valid at once; 0 gives every batch memory of its own */
  constructor(layout: EncodedLayout, recycle: number) {
    this.#layout = layout;
    this.#sets = Array.from({ length: recycle }, () => ({
      floats: NO_BYTES,
      doubles: NO_BYTES,
      words: NO_BYTES,
    }));
  }

  /** A batch of `size` rows and, when multi-hot, `ids` ids; its contents are undefined. */
  take(size: number, ids: number): ClickBatch {
    const { dense, tables, multiHot } = this.#layout;
    const bags = multiHot ? tables * size + 1 : 0;
    const set = this.#set(size * (dense + 1) * 4, size * 8, (bags + ids) * 4);
    return {
      size,
      dense: new Float32Array(set.floats, size * 4, size * dense),
      labels: new Float32Array(set.floats, 0, size),
      rows: new Float64Array(set.doubles, 0, size),
      lookups: {
        size,
        tables,
        ids: new Int32Array(set.words, bags * 4, ids),
        offsets: multiHot ? new Int32Array(set.words, 0, bags) : null,
      },
    };
  }

  #set(floatBytes: number, doubleBytes: number, wordBytes: number): BufferSet {
    if (this.#sets.length === 0) {
      return {
        floats: new SharedArrayBuffer(floatBytes),
        doubles: new SharedArrayBuffer(doubleBytes),
        words: new SharedArrayBuffer(wordBytes),
      };
    }
    const set = this.#sets[this.#turn]!;
    this.#turn = (this.#turn + 1) % this.#sets.length;
    if (set.floats.byteLength < floatBytes) set.floats = new SharedArrayBuffer(floatBytes);
    if (set.doubles.byteLength < doubleBytes) set.doubles = new SharedArrayBuffer(doubleBytes);
    if (set.words.byteLength < wordBytes) set.words = new SharedArrayBuffer(Math.ceil(wordBytes * 1.25));
    return set;
  }
}
