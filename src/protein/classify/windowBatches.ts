/**
 * @file Windows of many sequences through a network, in batches of like length. A window waits in the bucket of its
 * length until that is full; its probabilities are then handed to whoever it belongs to. A few batches are under way
 * at once, so that the host fills the next ones while the device computes.
 */
import { bucketLengths } from "../training/bucketedBatches.ts";
import type { Predicted, ProteinNetwork } from "../training/proteinNetwork.ts";

/** Receives what was predicted of one window: probabilities `[C]`, attention `[steps]`; views, to be copied from. */
export type OnWindow = (probabilities: Float32Array, attention: Float32Array | undefined) => void;

interface Bucket {
  length: number;
  ids: Int32Array;
  lengths: Int32Array;
  owners: OnWindow[];
}

/** Batches under way at once, for each device. */
const IN_FLIGHT = 2;

/** Gathers windows into batches. */
export class WindowBatches {
  readonly #network: ProteinNetwork;
  readonly #withAttention: boolean;
  readonly #buckets: Bucket[];
  readonly #flights: Promise<void>[] = [];

  /** @param length residues that the network reads */
  constructor(network: ProteinNetwork, length: number, withAttention: boolean) {
    this.#network = network;
    this.#withAttention = withAttention;
    this.#buckets = bucketLengths(length).map((limit) => this.#empty(limit));
  }

  /**
   * Adds a window.
   * @param ids its residues' ids, 1 to L of them
   */
  async add(ids: Uint8Array, owner: OnWindow): Promise<void> {
    const place = this.#buckets.findIndex(({ length }) => ids.length <= length);
    const bucket = this.#buckets[place]!;
    const row = bucket.owners.length;
    bucket.ids.set(ids, row * bucket.length);
    bucket.lengths[row] = ids.length;
    bucket.owners.push(owner);
    if (bucket.owners.length < this.#network.partRows) return;
    this.#buckets[place] = this.#empty(bucket.length);
    await this.#send(bucket);
  }

  /** Predicts the windows that still wait, and returns when all are done. */
  async flush(): Promise<void> {
    let carried: Bucket | null = null;
    for (const [place, bucket] of this.#buckets.entries()) {
      this.#buckets[place] = this.#empty(bucket.length);
      // A batch that is not full costs as much as a full one: what is left of shorter windows goes along with longer.
      const joined: Bucket = carried ? await this.#join(carried, bucket) : bucket;
      carried = joined.owners.length > 0 ? joined : null;
    }
    if (carried) await this.#send(carried);
    while (this.#flights.length > 0) await this.#flights.shift();
  }

  /** Moves the windows of a bucket into one of longer rows, sending that whenever it is full. */
  async #join(from: Bucket, to: Bucket): Promise<Bucket> {
    let into = to;
    for (const [row, owner] of from.owners.entries()) {
      if (into.owners.length === this.#network.partRows) {
        await this.#send(into);
        into = this.#empty(to.length);
      }
      const place = into.owners.length;
      const start = row * from.length;
      into.ids.set(from.ids.subarray(start, start + from.length), place * into.length);
      into.lengths[place] = from.lengths[row]!;
      into.owners.push(owner);
    }
    return into;
  }

  #empty(length: number): Bucket {
    const { partRows: batchSize } = this.#network;
    const lengths = new Int32Array(batchSize).fill(1);
    return { length, ids: new Int32Array(batchSize * length), lengths, owners: [] };
  }

  async #send(bucket: Bucket): Promise<void> {
    const flight = this.#network
      .predict(bucket, this.#withAttention)
      .then((predicted) => hand(predicted, bucket, this.#network.model.classes));
    // It is awaited later; a failure before then must not count as unhandled.
    flight.catch(() => undefined);
    this.#flights.push(flight);
    if (this.#flights.length >= IN_FLIGHT * this.#network.parallelism) await this.#flights.shift();
  }
}

function hand({ probabilities, attention }: Predicted, { owners, lengths }: Bucket, classes: number): void {
  const steps = attention ? attention.length / lengths.length : 0;
  for (const [row, owner] of owners.entries()) {
    owner(
      probabilities.subarray(row * classes, (row + 1) * classes),
      attention?.subarray(row * steps, (row + 1) * steps),
    );
  }
}
