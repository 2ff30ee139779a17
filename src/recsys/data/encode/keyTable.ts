/**
 * @file A vocabulary as threads look values up in it: a hash table on shared memory, from 64-bit keys to ids.
 *
 * Keys are hashes of the values, made by DuckDB, that {@link findSalt} has found to differ wherever values do, so that a
 * lookup compares no text. Slots are three words, the key's low and high halves and the id, in one array, so that a lookup
 * mostly costs one line of the cache; id 0 is an empty slot. Linear probing; at most three slots of five are in use.
 */
import { invariant } from "../../../base/errors.ts";

/** Words of a slot: low and high half of the key, id. */
const SLOT = 3;

const MOST_USED = 0.6;

/** Keys and ids. Plain data on shared memory, for crossing threads. */
export type KeyTable = Int32Array<SharedArrayBuffer>;

function slotsFor(values: number): number {
  return Math.max(8, Math.ceil(values / MOST_USED));
}

/** Bytes that a table of so many values takes. */
export function tableBytes(values: number): number {
  return slotsFor(values) * SLOT * 4;
}

/** An empty table for so many values. */
export function createTable(values: number): KeyTable {
  return new Int32Array(new SharedArrayBuffer(tableBytes(values)));
}

/** The word where a key's search begins. The high half decides, as slices of a table are cut by the low one. */
function firstSlot(high: number, scale: number): number {
  return Math.floor((high >>> 0) * scale) * SLOT;
}

/** Adds keys, low and high halves in turn, with ids from 1; no key comes twice, and no more than the table was made for. */
export function addKeys(table: KeyTable, keys: Int32Array, ids: Int32Array): void {
  const scale = table.length / SLOT / 2 ** 32;
  for (let i = 0; i < ids.length; i++) {
    const low = keys[2 * i]!;
    const high = keys[2 * i + 1]!;
    let at = firstSlot(high, scale);
    while (table[at + 2] !== 0) {
      invariant(table[at] !== low || table[at + 1] !== high, "keys of a vocabulary differ");
      at += SLOT;
      if (at === table.length) at = 0;
    }
    table[at] = low;
    table[at + 1] = high;
    table[at + 2] = ids[i]!;
  }
}

/** Writes the ids of the first `count` keys to `ids[to…]`, 0 for those that the table lacks. */
export function lookUp(table: KeyTable, keys: Int32Array, count: number, ids: Int32Array, to: number): void {
  const { length } = table;
  const scale = length / SLOT / 2 ** 32;
  for (let from = 0, end = 2 * count; from < end; from += 2, to++) {
    const low = keys[from]!;
    const high = keys[from + 1]!;
    let at = firstSlot(high, scale);
    let id = table[at + 2]!;
    while (id !== 0 && (table[at] !== low || table[at + 1] !== high)) {
      at += SLOT;
      if (at === length) at = 0;
      id = table[at + 2]!;
    }
    ids[to] = id;
  }
}
