/**
 * @file Distinct sequences with their families, each held once as ids.
 *
 * Two records are equal when their ids are; the letters of id 21 count as one. An open-addressed table of row numbers
 * finds equals by hash and compares the ids themselves, so that no collision can drop a sequence.
 */
import { encodeInto } from "../alphabet.ts";

/** Grows as sequences are added. */
export class DistinctSequences {
  ids = new Uint8Array(1 << 20);
  /** `[count + 1]` */
  readonly offsets: number[] = [0];
  /** `[count]`: the family of the first record. */
  readonly families: number[] = [];
  readonly names: string[] = [];
  readonly species: string[] = [];
  /** `[count]`: 1 when records of other families have the same sequence. */
  readonly ambiguous: boolean[] = [];
  #slots = new Int32Array(1 << 12).fill(-1);
  readonly #hashes: number[] = [];

  get count(): number {
    return this.families.length;
  }

  /** Adds a record unless its sequence is there; notes when that is of another family. */
  add(residues: string, family: number, name: string, species: string): void {
    const start = this.offsets[this.count]!;
    const end = start + residues.length;
    if (end > this.ids.length) {
      const grown = new Uint8Array(Math.max(end, 2 * this.ids.length));
      grown.set(this.ids.subarray(0, start));
      this.ids = grown;
    }
    encodeInto(residues, this.ids, start);
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ this.ids[i]!, 0x01000193);
    hash ^= hash >>> 15;
    if (this.count * 2 >= this.#slots.length) this.#grow();
    const slot = this.#find(hash, start, end);
    const row = this.#slots[slot]!;
    if (row >= 0) {
      if (this.families[row] !== family) this.ambiguous[row] = true;
      return;
    }
    this.#slots[slot] = this.count;
    this.#hashes.push(hash);
    this.offsets.push(end);
    this.families.push(family);
    this.names.push(name);
    this.species.push(species);
    this.ambiguous.push(false);
  }

  /** The slot that holds this sequence, or the free one where it belongs. */
  #find(hash: number, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]!;
      if (row < 0) return slot;
      if (this.#hashes[row] === hash && this.#equal(row, start, end)) return slot;
    }
  }

  #equal(row: number, start: number, end: number): boolean {
    const from = this.offsets[row]!;
    if (this.offsets[row + 1]! - from !== end - start) return false;
    for (let i = start, j = from; i < end; i++, j++) if (this.ids[i] !== this.ids[j]) return false;
    return true;
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(-1);
    const mask = slots.length - 1;
    for (let row = 0; row < this.count; row++) {
      let slot = this.#hashes[row]! & mask;
      while (slots[slot]! >= 0) slot = (slot + 1) & mask;
      slots[slot] = row;
    }
    this.#slots = slots;
  }
}
