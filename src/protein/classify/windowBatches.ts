/**
 * @file Windows of many sequences through a network, in batches of like length. A window waits in the bucket of its
 * length until that is full; its probabilities are then handed on. A few batches are under way at once, so that the
 * host fills the next ones while the device computes. Buffers are made once and used again and again: a file of
 * millions of records leaves no garbage of arrays.
 */
import { bucketLengths } from "../network/bucketedBatches.ts";
import type { Predicted, ProteinNetwork } from "../network/proteinNetwork.ts";
import type { Window } from "./windows.ts";

/** Receives what was predicted of one of its windows: row `row` of a batch, to be copied from. */
export interface WindowOwner {
  take(window: Window, predicted: Predicted, row: number): void;
}

interface Bucket {
  count: number;
  /** Windows that were added before its first. */
  since: number;
  /** `[B, L]` for the longest windows; shorter ones take the first `B · T` of it. */
  ids: Int32Array;
  lengths: Int32Array;
  /** `[B]`: whose window a row is, and where it starts. */
  owners: (WindowOwner | null)[];
  starts: Uint32Array;
  probabilities: Float32Array;
}

/** Batches under way at once, for each device. */
const IN_FLIGHT = 2;
/** A window waits for so many others at most. When it goes on depends on the order of windows only, not on time. */
const MOST_WAITING = 512;

/** Gathers windows into batches. */
export class WindowBatches {
  readonly #network: ProteinNetwork;
  readonly #withAttention: boolean;
  readonly #lengths: readonly number[];
  /** The open bucket of each length. */
  readonly #open: Bucket[];
  readonly #free: Bucket[] = [];
  readonly #flights: Promise<void>[] = [];
  #added = 0;

  /** @param length residues that the network reads */
  constructor(network: ProteinNetwork, length: number, withAttention: boolean) {
    this.#network = network;
    this.#withAttention = withAttention;
    this.#lengths = bucketLengths(length);
    this.#open = this.#lengths.map(() => this.#take());
  }

  /**
   * Adds a window.
   * @param ids those of the residues of the whole sequence
   * @param owner receives what was predicted, at the latest before {@link flush} returns
   * @returns a promise where a batch has to be done first
   */
  add(ids: Uint8Array, window: Window, owner: WindowOwner): Promise<void> | undefined {
    const size = window.end - window.start;
    let place = 0;
    while (size > this.#lengths[place]!) place++;
    const [bucket, length] = [this.#open[place]!, this.#lengths[place]!];
    const row = bucket.count++;
    if (row === 0) bucket.since = this.#added;
    this.#added++;
    const from = row * length;
    for (let i = 0; i < size; i++) bucket.ids[from + i] = ids[window.start + i]!;
    bucket.ids.fill(0, from + size, from + length);
    bucket.lengths[row] = size;
    bucket.owners[row] = owner;
    bucket.starts[row] = window.start;
    if (bucket.count === this.#network.partRows) return this.#send(place);
    const late = this.#open.findIndex(({ count, since }) => count > 0 && this.#added - since > MOST_WAITING);
    return late < 0 ? undefined : this.#send(late);
  }

  /** Predicts the windows that still wait, and returns when all are done. */
  async flush(): Promise<void> {
    // A batch that is not full costs as much as a full one: what is left of shorter windows goes along with longer.
    for (const [place, { count }] of this.#open.entries()) {
      if (count === 0) continue;
      if (place + 1 < this.#open.length) await this.#join(place);
      else await this.#send(place);
    }
    while (this.#flights.length > 0) await this.#flights.shift();
  }

  /** Moves the windows of a bucket into that of longer rows, sending this whenever it is full. */
  async #join(place: number): Promise<void> {
    const [from, fromLength, length] = [this.#open[place]!, this.#lengths[place]!, this.#lengths[place + 1]!];
    for (let row = 0; row < from.count; row++) {
      const into = this.#open[place + 1]!;
      const at = into.count++;
      into.ids.set(from.ids.subarray(row * fromLength, (row + 1) * fromLength), at * length);
      into.ids.fill(0, at * length + fromLength, (at + 1) * length);
      into.lengths[at] = from.lengths[row]!;
      into.owners[at] = from.owners[row]!;
      into.starts[at] = from.starts[row]!;
      if (into.count === this.#network.partRows) await this.#send(place + 1);
    }
    from.count = 0;
  }

  /** An empty bucket. */
  #take(): Bucket {
    const free = this.#free.pop();
    if (free) return free;
    const { partRows: rows, model } = this.#network;
    const longest = this.#lengths.at(-1)!;
    return {
      count: 0,
      since: 0,
      ids: new Int32Array(this.#network.hostBuffer(4 * rows * longest)),
      lengths: new Int32Array(this.#network.hostBuffer(4 * rows)),
      owners: Array.from({ length: rows }, () => null),
      starts: new Uint32Array(rows),
      probabilities: new Float32Array(this.#network.hostBuffer(4 * rows * model.classes)),
    };
  }

  /** Sends the open bucket of a length, and puts an empty one in its place. */
  async #send(place: number): Promise<void> {
    const flight = this.#predict(this.#open[place]!, this.#lengths[place]!);
    this.#open[place] = this.#take();
    // It is awaited later; a failure before then must not count as unhandled.
    flight.catch(() => undefined);
    this.#flights.push(flight);
    if (this.#flights.length >= IN_FLIGHT * this.#network.parallelism) await this.#flights.shift();
  }

  async #predict(bucket: Bucket, length: number): Promise<void> {
    const { count, lengths, ids, probabilities, owners, starts } = bucket;
    const rows = this.#network.partRows;
    lengths.fill(1, count);
    const batch = { length, ids: ids.subarray(0, rows * length), lengths };
    const predicted = await this.#network.predict(batch, this.#withAttention, probabilities);
    for (let row = 0; row < count; row++) {
      const start = starts[row]!;
      owners[row]!.take({ start, end: start + lengths[row]! }, predicted, row);
      owners[row] = null;
    }
    bucket.count = 0;
    this.#free.push(bucket);
  }
}
