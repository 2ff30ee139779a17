/**
 * @file Writes an encoded data set: rows in the order given, gathered into groups and appended to `rows.bin`.
 *
 * Memory is one group and its outgoing copy, whatever the number of rows. Nothing counts as written until
 * {@link EncodedDatasetWriter.finish}.
 */
import { open, rename, rm, writeFile } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { join } from "node:path";
import { makeFolder } from "../../../base/makeFolder.ts";
import { invariant } from "../../../base/errors.ts";
import type { ClickBatch } from "../batches/clickBatch.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { groupPlaces } from "./encodedLayout.ts";
import type { EncodedIndex, EncodedLayout, GroupEntry } from "./encodedLayout.ts";
import { EncodedDataset } from "./encodedDataset.ts";

/** Options of {@link EncodedDatasetWriter.create}. */
export interface WriterOptions {
  /** Rows of a group, a power of two (default 8192): the unit of reading and of shuffling. */
  rowsPerGroup?: number;
}

/** Writes all of `bytes`: one call may take fewer when the disk is nearly full. */
async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}

/** Appends encoded rows to a new data set. */
export class EncodedDatasetWriter {
  readonly #directory: string;
  readonly #layout: EncodedLayout;
  readonly #capacity: number;
  readonly #handle: FileHandle;
  readonly #rows: Float64Array;
  readonly #labels: Float32Array;
  readonly #dense: Float32Array;
  /** One-hot: `[T, capacity]`. */
  readonly #ids: Int32Array;
  #maxIdsPerRow = 0;
  /** Multi-hot: bag lengths `[T, capacity]` and each table's ids so far. */
  readonly #lengths: Int32Array;
  readonly #bagIds: Int32Array[];
  readonly #bagCounts: number[];
  #size = 0;
  #total = 0;
  #ones = 0;
  #offset = 0;
  #out = new ArrayBuffer(0);
  #writing: Promise<unknown> = Promise.resolve();
  readonly #groups: GroupEntry[] = [];

  private constructor(directory: string, layout: EncodedLayout, capacity: number, handle: FileHandle) {
    this.#directory = directory;
    this.#layout = layout;
    this.#capacity = capacity;
    this.#handle = handle;
    this.#rows = new Float64Array(capacity);
    this.#labels = new Float32Array(capacity);
    this.#dense = new Float32Array(capacity * layout.dense);
    this.#ids = new Int32Array(layout.multiHot ? 0 : capacity * layout.tables);
    this.#lengths = new Int32Array(layout.multiHot ? capacity * layout.tables : 0);
    this.#bagIds = layout.multiHot
      ? Array.from({ length: layout.tables }, () => new Int32Array(capacity))
      : [];
    this.#bagCounts = this.#bagIds.map(() => 0);
  }

  /**
   * Starts a data set in `directory`, which is made if absent; a data set that lies there is replaced.
   * @throws ParetoError FILE_REFUSED, FILE_DISK_FULL
   */
  static async create(
    directory: string,
    layout: EncodedLayout,
    options: WriterOptions = {},
  ): Promise<EncodedDatasetWriter> {
    const capacity = options.rowsPerGroup ?? 8192;
    invariant(
      capacity > 0 && (capacity & (capacity - 1)) === 0,
      `rowsPerGroup ${capacity} is a power of two`,
    );
    invariant(layout.cardinalities.length === layout.tables, "a cardinality for each table");
    try {
      await makeFolder(directory);
      await rm(join(directory, "layout.json"), { force: true });
      const handle = await open(join(directory, "rows.bin"), "w");
      return new EncodedDatasetWriter(directory, layout, capacity, handle);
    } catch (error) {
      throw fileError(error, directory);
    }
  }

  /** Rows appended so far. */
  get rows(): number {
    return this.#total;
  }

  /**
   * Appends the rows of a batch, or those at the positions in `selection`, in that order.
   * @throws ParetoError FILE_DISK_FULL
   */
  async append(batch: ClickBatch, selection?: Uint32Array): Promise<void> {
    const count = selection ? selection.length : batch.size;
    for (let from = 0; from < count;) {
      const take = Math.min(count - from, this.#capacity - this.#size);
      this.#copyDense(batch, selection, from, take);
      if (this.#layout.multiHot) this.#copyBags(batch, selection, from, take);
      else this.#copyIds(batch, selection, from, take);
      this.#size += take;
      this.#total += take;
      from += take;
      if (this.#size === this.#capacity) await this.#flush();
    }
  }

  /** Completes the data set and opens it. @throws ParetoError FILE_DISK_FULL */
  async finish(): Promise<EncodedDataset> {
    try {
      if (this.#size > 0) await this.#flush();
      await this.#writing;
      await this.#handle.sync();
      await this.#handle.close();
      const index: EncodedIndex = {
        version: 1,
        endianness: endianness(),
        layout: this.#layout,
        rows: this.#total,
        labelCounts: [this.#total - this.#ones, this.#ones],
        maxIdsPerRow: this.#maxIdsPerRow,
        rowsPerGroup: this.#capacity,
        groups: this.#groups,
      };
      const path = join(this.#directory, "layout.json");
      await writeFile(`${path}.partial`, JSON.stringify(index), { flush: true });
      await rename(`${path}.partial`, path);
    } catch (error) {
      throw fileError(error, this.#directory);
    }
    return EncodedDataset.open(this.#directory);
  }

  /** Gives up: closes the file and leaves the folder without a complete data set. */
  async abort(): Promise<void> {
    await this.#writing.catch(() => undefined);
    await this.#handle.close().catch(() => undefined);
  }

  #copyDense(batch: ClickBatch, selection: Uint32Array | undefined, from: number, take: number): void {
    const width = this.#layout.dense;
    const size = this.#size;
    if (selection === undefined) {
      this.#rows.set(batch.rows.subarray(from, from + take), size);
      this.#labels.set(batch.labels.subarray(from, from + take), size);
      this.#dense.set(batch.dense.subarray(from * width, (from + take) * width), size * width);
    } else {
      for (let i = 0; i < take; i++) {
        const source = selection[from + i]!;
        this.#rows[size + i] = batch.rows[source]!;
        this.#labels[size + i] = batch.labels[source]!;
        for (let d = 0; d < width; d++) {
          this.#dense[(size + i) * width + d] = batch.dense[source * width + d]!;
        }
      }
    }
    for (let i = 0; i < take; i++) this.#ones += this.#labels[size + i]!;
  }

  #copyIds(batch: ClickBatch, selection: Uint32Array | undefined, from: number, take: number): void {
    const { ids, offsets } = batch.lookups;
    for (let t = 0; t < this.#layout.tables; t++) {
      const to = t * this.#capacity + this.#size;
      const base = t * batch.size;
      if (offsets === null && selection === undefined) {
        this.#ids.set(ids.subarray(base + from, base + from + take), to);
        continue;
      }
      for (let i = 0; i < take; i++) {
        const bag = base + (selection ? selection[from + i]! : from + i);
        invariant(offsets === null || offsets[bag + 1] === offsets[bag]! + 1, "one id a bag");
        this.#ids[to + i] = ids[offsets === null ? bag : offsets[bag]!]!;
      }
    }
  }

  #copyBags(batch: ClickBatch, selection: Uint32Array | undefined, from: number, take: number): void {
    const { ids, offsets } = batch.lookups;
    for (let t = 0; t < this.#layout.tables; t++) {
      let held = this.#bagIds[t]!;
      let count = this.#bagCounts[t]!;
      for (let i = 0; i < take; i++) {
        const bag = t * batch.size + (selection ? selection[from + i]! : from + i);
        const start = offsets === null ? bag : offsets[bag]!;
        const length = offsets === null ? 1 : offsets[bag + 1]! - start;
        if (count + length > held.length) {
          const grown = new Int32Array(Math.max(held.length * 2, count + length));
          grown.set(held);
          this.#bagIds[t] = held = grown;
        }
        for (let k = 0; k < length; k++) held[count++] = ids[start + k]!;
        this.#lengths[t * this.#capacity + this.#size + i] = length;
      }
      this.#bagCounts[t] = count;
    }
  }

  async #flush(): Promise<void> {
    try {
      await this.#writing;
    } catch (error) {
      throw fileError(error, this.#directory);
    }
    const n = this.#size;
    const layout = this.#layout;
    const total = layout.multiHot ? this.#bagCounts.reduce((a, b) => a + b, 0) : n * layout.tables;
    const places = groupPlaces(layout, n, total);
    if (this.#out.byteLength < places.sizeBytes) this.#out = new ArrayBuffer(places.sizeBytes);
    const floats = new Float32Array(this.#out);
    const words = new Int32Array(this.#out);
    new Float64Array(this.#out).set(this.#rows.subarray(0, n));
    floats.set(this.#labels.subarray(0, n), places.labels);
    floats.set(this.#dense.subarray(0, n * layout.dense), places.dense);
    let at = 0;
    for (let t = 0; t < layout.tables; t++) {
      const base = t * this.#capacity;
      if (layout.multiHot) {
        let start = at;
        for (let i = 0; i < n; i++) {
          words[places.bags + t * n + i] = start;
          start += this.#lengths[base + i]!;
        }
        words.set(this.#bagIds[t]!.subarray(0, this.#bagCounts[t]!), places.ids + at);
        at = start;
        this.#bagCounts[t] = 0;
      } else {
        words.set(this.#ids.subarray(base, base + n), places.ids + t * n);
      }
    }
    if (layout.multiHot) words[places.bags + layout.tables * n] = at;
    this.#maxIdsPerRow = Math.max(this.#maxIdsPerRow, layout.multiHot ? this.#longestRow(n) : layout.tables);
    this.#groups.push({ offset: this.#offset, rows: n, ids: total });
    const write = writeFully(this.#handle, new Uint8Array(this.#out, 0, places.sizeBytes), this.#offset);
    // Awaited by the next flush or by finish; until then a failure must not count as unhandled.
    write.catch(() => undefined);
    this.#writing = write;
    this.#offset += places.sizeBytes;
    this.#size = 0;
  }

  /** Most ids over all tables of one of the rows held. */
  #longestRow(rows: number): number {
    let longest = 0;
    for (let i = 0; i < rows; i++) {
      let ids = 0;
      for (let t = 0; t < this.#layout.tables; t++) ids += this.#lengths[t * this.#capacity + i]!;
      longest = Math.max(longest, ids);
    }
    return longest;
  }
}
