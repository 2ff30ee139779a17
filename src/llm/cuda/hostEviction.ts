/**
 * @file Policies that a GPU cannot follow, having no rule: positions and scores come to the host, which decides, and
 * slots go back. Right for any policy, and slow.
 */
import { CallQueue, type CudaDevice } from "../../engine/targets/cuda/index.ts";
import { sharedWindow } from "../kv/decide.ts";
import { slabLayout } from "./calls/buffers.ts";
import { evictedByHost, keptByHost, type CopiedEntries, type SequenceProgress } from "./calls/copiedLayer.ts";
import { dropCall, decodeKernels, type DecodeKernels } from "./calls/decodeCalls.ts";
import type { SequenceCaches, CachedSequence } from "./sequenceCaches.ts";

/** Memory in which a slab lies. */
export interface SlabPlace {
  readonly layer: number;
  readonly pointer: number;
  readonly capacity: number;
}

/** Decides on the host. */
export class HostEviction {
  readonly #device: CudaDevice;
  readonly #caches: SequenceCaches;
  readonly #kernels: DecodeKernels;
  #queue: CallQueue | undefined;

  constructor(device: CudaDevice, caches: SequenceCaches) {
    this.#device = device;
    this.#caches = caches;
    this.#kernels = decodeKernels(caches.model);
  }

  /**
   * Chooses what stays after a read of a sequence.
   * @param places the layer's region, or the slabs of all layers that decide together
   * @param kept where the choice goes: slots int32 `[kvHeads, stride]` and their counts `[kvHeads]`
   */
  async keep(
    text: CachedSequence,
    places: readonly SlabPlace[],
    kept: { slots: number; counts: number; stride: number },
  ): Promise<void> {
    const layers = await this.#copies(places);
    const chosen = keptByHost(text.policies[places[0]!.layer]!, layers, this.#progress(text, places));
    const slots = new Int32Array(chosen.length * kept.stride);
    for (const [head, own] of chosen.entries()) slots.set(own, head * kept.stride);
    const counts = Int32Array.from(chosen, (own) => own.length);
    this.#device.stream.copyToDevice(kept.slots, slots, slots.byteLength);
    this.#device.stream.copyToDevice(kept.counts, counts, counts.byteLength);
  }

  /** Drops what the policies of a sequence without rules choose after a step. */
  async evict(sequence: number): Promise<void> {
    const text = this.#caches.at(sequence)!;
    const places = text.slabs.map(({ buffer, capacity }, layer): SlabPlace => {
      return { layer, pointer: buffer.pointer, capacity };
    });
    if (text.policies[0]!.scope === "shared") {
      if (!text.policies[0]!.rule) await this.#drop(sequence, text, places);
      return;
    }
    for (const place of places)
      if (!text.policies[place.layer]!.rule) await this.#drop(sequence, text, [place]);
  }

  async #drop(sequence: number, text: CachedSequence, places: readonly SlabPlace[]): Promise<void> {
    const { stream } = this.#device;
    this.#queue ??= await CallQueue.compile(this.#device, [this.#kernels.drop]);
    const layers = await this.#copies(places);
    const { maxSequences } = this.#caches;
    const slots = this.#device.allocator.allocate(4 * this.#caches.model.kvHeads, "host's choice");
    try {
      for (const round of evictedByHost(
        text.policies[places[0]!.layer]!,
        layers,
        this.#progress(text, places),
      )) {
        stream.copyToDevice(slots.pointer, round, round.byteLength);
        for (const { layer } of places) {
          const { slabs, settings } = this.#caches.tablesOf(layer);
          const where = { slabs, settings, slots: slots.pointer };
          this.#queue.launch(stream, [dropCall(this.#kernels, { sequence, maxSequences }, where)]);
        }
      }
    } finally {
      slots.free();
    }
  }

  async #copies(places: readonly SlabPlace[]): Promise<CopiedEntries[]> {
    const { model } = this.#caches;
    const { stream } = this.#device;
    const copies = places.map(({ layer, pointer, capacity }): CopiedEntries => {
      const layout = slabLayout(model, capacity);
      const lengths = new Int32Array(model.kvHeads);
      const positions = new Int32Array(model.kvHeads * capacity);
      const scores = new Float32Array(model.kvHeads * capacity);
      stream.copyToHost(lengths, pointer + layout.lengths.offsetBytes, lengths.byteLength);
      stream.copyToHost(positions, pointer + layout.positions.offsetBytes, positions.byteLength);
      stream.copyToHost(scores, pointer + layout.scores.offsetBytes, scores.byteLength);
      return { layer, capacity, lengths, positions, scores };
    });
    await this.#device.finished();
    return copies;
  }

  /** @param places of one layer, or of all that decide together */
  #progress(
    { promptTokens, tokensSeen, step }: CachedSequence,
    places: readonly SlabPlace[],
  ): SequenceProgress {
    const { layers, slidingWindow } = this.#caches.model;
    const window =
      places.length === 1 ? slidingWindow(places[0]!.layer) : sharedWindow(layers, slidingWindow);
    return { promptTokens, tokensSeen, step, slidingWindow: window };
  }
}
