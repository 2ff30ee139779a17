/** @file Texts that begin at a place: a trie over UTF-16 units in flat arrays, for vocabularies of any size. */

const MULTIPLIER = 0x9e3779b1;

/** A set of texts, each with a number. */
export class Trie {
  /** Of an edge: the node it leaves, its unit, the node it reaches. Open addressing; node 0 is the root, -1 is free. */
  #from = new Int32Array(1024).fill(-1);
  #unit = new Uint16Array(1024);
  #to = new Int32Array(1024);
  #edges = 0;
  /** Of a node: the number of the text that ends there, or -1. */
  #values = new Int32Array(512).fill(-1);

  /** Adds a text; of equal texts the last one's number counts. @param value 0 or more */
  set(text: string, value: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) node = this.#child(node, text.charCodeAt(i));
    this.#values[node] = value;
  }

  /** Calls for every text that begins at a place, the shortest first; never for the empty one. */
  prefixes(text: string, start: number, found: (end: number, value: number) => void): void {
    let node = 0;
    for (let i = start; i < text.length; i++) {
      const slot = this.#slot(node, text.charCodeAt(i));
      if (this.#from[slot] === -1) return;
      node = this.#to[slot]!;
      const value = this.#values[node]!;
      if (value >= 0) found(i + 1, value);
    }
  }

  #slot(node: number, unit: number): number {
    const mask = this.#from.length - 1;
    let slot = (Math.imul(node, MULTIPLIER) ^ Math.imul(unit + 1, 0x85ebca6b)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & mask;
    while (this.#from[slot] !== -1 && (this.#from[slot] !== node || this.#unit[slot] !== unit))
      slot = (slot + 1) & mask;
    return slot;
  }

  #child(node: number, unit: number): number {
    const slot = this.#slot(node, unit);
    if (this.#from[slot] !== -1) return this.#to[slot]!;
    const child = ++this.#edges;
    this.#put(slot, node, unit, child);
    if (child >= this.#values.length) {
      const values = new Int32Array(2 * this.#values.length).fill(-1);
      values.set(this.#values);
      this.#values = values;
    }
    if (2 * this.#edges > this.#from.length) this.#grow();
    return child;
  }

  #put(slot: number, node: number, unit: number, child: number): void {
    this.#from[slot] = node;
    this.#unit[slot] = unit;
    this.#to[slot] = child;
  }

  #grow(): void {
    const [from, units, to] = [this.#from, this.#unit, this.#to];
    this.#from = new Int32Array(2 * from.length).fill(-1);
    this.#unit = new Uint16Array(2 * from.length);
    this.#to = new Int32Array(2 * from.length);
    for (const [i, node] of from.entries())
      if (node !== -1) this.#put(this.#slot(node, units[i]!), node, units[i]!, to[i]!);
  }
}
