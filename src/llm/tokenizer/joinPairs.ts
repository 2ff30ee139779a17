/** @file Byte-pair encoding's inner loop: joins the best pair of neighbours until none is left, in n log n. */

/** What may be joined. */
export interface Joins {
  /** The join of two neighbouring tokens: an index from 0, or -1. */
  find(left: number, right: number): number;
  /** Of a join: its place in the order; of equal ones the leftmost pair comes first. Below 2²¹. */
  order(join: number): number;
  /** Of a join: the token that it makes. */
  token(join: number): number;
}

/** Positions that a key holds beside an order. */
const POSITIONS = 2 ** 31;

/** A heap of numbers, each with a join; the least number comes first. */
class Heap {
  readonly #keys: number[] = [];
  readonly #joins: number[] = [];

  get size(): number {
    return this.#keys.length;
  }

  push(key: number, join: number): void {
    let at = this.#keys.length;
    for (;;) {
      const parent = (at - 1) >> 1;
      if (at === 0 || this.#keys[parent]! <= key) break;
      this.#put(at, this.#keys[parent]!, this.#joins[parent]!);
      at = parent;
    }
    this.#put(at, key, join);
  }

  pop(): [key: number, join: number] {
    const top: [number, number] = [this.#keys[0]!, this.#joins[0]!];
    const key = this.#keys.pop()!;
    const join = this.#joins.pop()!;
    if (this.#keys.length === 0) return top;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#keys.length) break;
      if (child + 1 < this.#keys.length && this.#keys[child + 1]! < this.#keys[child]!) child++;
      if (this.#keys[child]! >= key) break;
      this.#put(at, this.#keys[child]!, this.#joins[child]!);
      at = child;
    }
    this.#put(at, key, join);
    return top;
  }

  #put(at: number, key: number, join: number): void {
    this.#keys[at] = key;
    this.#joins[at] = join;
  }
}

/** Tokens with all pairs joined that can be. */
export function joinPairs(tokens: readonly number[], joins: Joins): number[] {
  const length = tokens.length;
  if (length < 2) return [...tokens];
  // A chain: a token that went into the one before it is -1.
  const chain = Float64Array.from(tokens);
  const next = Int32Array.from(tokens, (_, i) => i + 1);
  const previous = Int32Array.from(tokens, (_, i) => i - 1);
  const heap = new Heap();
  const offer = (at: number) => {
    const join = joins.find(chain[at]!, chain[next[at]!]!);
    if (join >= 0) heap.push(joins.order(join) * POSITIONS + at, join);
  };
  for (let i = 0; i + 1 < length; i++) offer(i);
  while (heap.size > 0) {
    const [key, join] = heap.pop();
    const at = key % POSITIONS;
    const right = next[at]!;
    if (chain[at] === -1 || right >= length) continue;
    // The pair may have changed since; another that makes the same token is as good.
    const current = joins.find(chain[at]!, chain[right]!);
    if (current < 0 || joins.token(current) !== joins.token(join)) continue;
    chain[at] = joins.token(join);
    chain[right] = -1;
    next[at] = next[right]!;
    if (next[at]! < length) previous[next[at]!] = at;
    if (previous[at]! >= 0) offer(previous[at]!);
    if (next[at]! < length) offer(at);
  }
  return Array.from(chain).filter((token) => token !== -1);
}
