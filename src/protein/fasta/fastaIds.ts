/**
 * @file Finds ids that were seen before, in bounded memory.
 *
 * Holds a 64-bit hash of each id in an open-addressed table of at most 2^22 slots (32 MiB), half full at most; after
 * 2,097,152 distinct ids it stops looking, and says so. Two different ids are taken for equal with probability 2^-64 a
 * pair.
 */

const FIRST_SLOTS = 1 << 12;
const LAST_SLOTS = 1 << 22;

/** What {@link SeenIds.add} found. */
export type Seen = "new" | "seen" | "full";

/** A bounded set of ids. */
export class SeenIds {
  #slots = new Uint32Array(2 * FIRST_SLOTS);
  #count = 0;

  /** Adds an id. @returns `full`, for ever after, when the table may not grow further */
  add(id: string): Seen {
    let low = 0x811c9dc5;
    let high = 0x9747b28c;
    for (let i = 0; i < id.length; i++) {
      const unit = id.charCodeAt(i);
      low = Math.imul(low ^ unit, 0x01000193);
      high = Math.imul(high ^ (unit + i), 0x5bd1e995);
      high ^= high >>> 13;
    }
    low ^= low >>> 15;
    low = Math.imul(low, 0x2c1b3c6d);
    low ^= low >>> 12;
    if (this.#count * 4 >= this.#slots.length) {
      if (this.#slots.length >= 2 * LAST_SLOTS) return "full";
      this.#grow();
    }
    // The pair (0, 0) marks a free slot.
    return this.#insert(this.#slots, low >>> 0, high >>> 0 || 1) ? "new" : "seen";
  }

  #insert(slots: Uint32Array, low: number, high: number): boolean {
    const mask = slots.length / 2 - 1;
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const heldHigh = slots[2 * slot + 1]!;
      if (heldHigh === 0) {
        slots[2 * slot] = low;
        slots[2 * slot + 1] = high;
        this.#count++;
        return true;
      }
      if (heldHigh === high && slots[2 * slot] === low) return false;
    }
  }

  #grow(): void {
    const old = this.#slots;
    const slots = new Uint32Array(old.length * 2);
    this.#count = 0;
    for (let slot = 0; slot < old.length; slot += 2) {
      if (old[slot + 1] !== 0) this.#insert(slots, old[slot]!, old[slot + 1]!);
    }
    this.#slots = slots;
  }
}
