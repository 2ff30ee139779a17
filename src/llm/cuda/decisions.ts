/**
 * @file Tells what policies decided on a GPU: the positions that a sequence's cache held before and holds now, compared on
 * the host. It waits for the GPU after each read and step, and is done only for sequences whose decisions somebody wants.
 */
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import type { SequenceCaches } from "./sequenceCaches.ts";

/** Positions of each layer and KV head, ascending. */
type Held = number[][][];

/** Follows sequences whose decisions are reported. */
export class Decisions {
  readonly #device: CudaDevice;
  readonly #caches: SequenceCaches;

  constructor(device: CudaDevice, caches: SequenceCaches) {
    this.#device = device;
    this.#caches = caches;
  }

  /** What those of the given sequences hold whose decisions are reported. */
  async before(sequences: readonly number[]): Promise<Map<number, Held>> {
    const held = new Map<number, Held>();
    for (const sequence of sequences)
      if (this.#caches.at(sequence)?.options.onDecision) held.set(sequence, await this.#held(sequence));
    return held;
  }

  /** Tells what stays after a read that has ended. @param tokens read since `held`, of each sequence */
  async tellKept(held: ReadonlyMap<number, Held>, tokens: ReadonlyMap<number, number>): Promise<void> {
    for (const [sequence, before] of held) {
      const { options, policies, step } = this.#caches.at(sequence)!;
      const isShared = policies[0]!.scope === "shared";
      const now = await this.#held(sequence);
      for (const [layer, heads] of now.entries()) {
        if (isShared && layer > 0) break;
        for (const [kvHead, positions] of heads.entries()) {
          const all = (before[layer]?.[kvHead]?.length ?? 0) + tokens.get(sequence)!;
          if (positions.length === all) continue;
          options.onDecision!({ kind: "keep", layer: isShared ? -1 : layer, kvHead, step, positions });
        }
      }
    }
  }

  /** Tells what has gone in a step; of several that went at once the oldest first. */
  async tellEvicted(held: ReadonlyMap<number, Held>): Promise<void> {
    for (const [sequence, before] of held) {
      const { options, policies, step, tokensSeen } = this.#caches.at(sequence)!;
      const isShared = policies[0]!.scope === "shared";
      const now = await this.#held(sequence);
      for (const [layer, heads] of now.entries()) {
        if (isShared && layer > 0) break;
        for (const [kvHead, positions] of heads.entries()) {
          const stays = new Set(positions);
          for (const position of [...before[layer]![kvHead]!, tokensSeen - 1]) {
            if (stays.has(position)) continue;
            const place = { layer: isShared ? -1 : layer, kvHead, step, positions: [position] };
            options.onDecision!({ kind: "evict", ...place });
          }
        }
      }
    }
  }

  async #held(sequence: number): Promise<Held> {
    const { slabs } = this.#caches.at(sequence)!;
    const { kvHeads } = this.#caches.model;
    const layers: Held = [];
    for (const { buffer, capacity } of slabs) {
      const { lengths, positions } = this.#caches.layout(capacity);
      const counts = new Int32Array(kvHeads);
      const all = new Int32Array(kvHeads * capacity);
      const { stream } = this.#device;
      stream.copyToHost(counts, buffer.pointer + lengths.offsetBytes, counts.byteLength);
      stream.copyToHost(all, buffer.pointer + positions.offsetBytes, all.byteLength);
      await this.#device.finished();
      layers.push(
        Array.from(counts, (count, head) =>
          Array.from(all.subarray(head * capacity, head * capacity + count)).sort((a, b) => a - b),
        ),
      );
    }
    return layers;
  }
}
