/** @file One text's attention over evicting caches by the kernels of a GPU, layer by layer. */
import type { CudaDevice } from "../../../src/engine/targets/cuda/index.ts";
import { decodeHalf, encodeHalf } from "../../../src/base/half.ts";
import type { Projected } from "./hostAttention.ts";
import { attentionFactor } from "../../../src/llm/models/rotary.ts";
import {
  prefillBuffers,
  RECORD_WORDS,
  sequenceBuffers,
  recordWord,
  SETTINGS_WORDS,
  decodeBuffers,
} from "../../../src/llm/cuda/calls/buffers.ts";
import {
  type CopiedEntries,
  evictedByHost,
  keptByHost,
  type SequenceProgress,
} from "../../../src/llm/cuda/calls/copiedLayer.ts";
import { type AttendTuning, attendTuning } from "../../../src/llm/cuda/calls/attendTuning.ts";
import type { KvModel } from "../../../src/llm/cuda/calls/model.ts";
import { gatherCall, keepCall, settleCalls, sumLayersCall } from "../../../src/llm/cuda/calls/keepCalls.ts";
import * as reads from "../../../src/llm/cuda/calls/prefillCalls.ts";
import { prefillKernels } from "../../../src/llm/cuda/calls/prefillKernels.ts";
import { rotaryTable } from "../../../src/llm/cuda/calls/rotaryTable.ts";
import { settingsWords } from "../../../src/llm/cuda/calls/settings.ts";
import {
  advanceCall,
  attendCall,
  dropCall,
  sharedEvictCall,
  type DecodePlaces,
  decodeKernels,
} from "../../../src/llm/cuda/calls/decodeCalls.ts";
import { type DeviceSlab, KvDevice, slabTable } from "./kvDevice.ts";
import { piecesOf, type ProjectionOf, type TextCase, type TextEvent, type TextState } from "./kvSequences.ts";

/**
 * Runs events by the kernels, in sequence 1 of 3.
 * @param options.copies to sequence 2 before the first step, which then takes the same steps in the same launches
 * @param options.blocks that a step's attention should have, other than it would
 */
export async function runOnDevice(
  device: CudaDevice,
  text: TextCase,
  events: readonly TextEvent[],
  projectionOf: ProjectionOf,
  { copies = false, blocks }: { copies?: boolean; blocks?: number | undefined } = {},
): Promise<TextState[]> {
  const memory = new KvDevice(device);
  try {
    return await new DeviceText(memory, text, events, copies, blocks).run(projectionOf);
  } finally {
    memory.free();
  }
}

const MAX_SEQUENCES = 3;
const SEQUENCE = 1;
const COPY = 2;
/** Room beyond a read's rows, so that strides are no lengths. */
const SPARE = 3;

class DeviceText {
  readonly #memory: KvDevice;
  readonly #text: TextCase;
  readonly #events: readonly TextEvent[];
  readonly #model: KvModel;
  readonly #tuning: AttendTuning;
  readonly #slabs: DeviceSlab[];
  readonly #record = new Uint32Array(MAX_SEQUENCES * RECORD_WORDS);
  readonly #step: DecodePlaces<number>;
  readonly #none: number;
  readonly #rotaryTable: number | null;
  readonly #slopes: number | null;
  readonly #total: number;
  /** Whether layers decide together, so that their slabs hold whole reads. */
  readonly #isShared: boolean;
  #copiesNext: boolean;
  #isCopied = false;
  #promptTokens = 0;

  constructor(
    memory: KvDevice,
    text: TextCase,
    events: readonly TextEvent[],
    copies: boolean,
    blocks = attendTuning.blocks,
  ) {
    this.#tuning = { ...attendTuning, blocks };
    this.#copiesNext = copies;
    const { config, policy, dtype } = text;
    this.#memory = memory;
    this.#text = text;
    this.#events = events;
    this.#isShared = policy.scope === "shared";
    this.#model = {
      layers: config.layers,
      heads: config.heads,
      kvHeads: config.kvHeads,
      headDim: config.headDim,
      dtype,
      hasAlibi: config.alibiSlopes !== null,
      rotary: config.rotary && { ...config.rotary, factor: attentionFactor(config.rotary) },
      slidingWindow: config.slidingWindow,
      isRenumbered: policy.positions === "new",
    };
    this.#total = events.reduce((sum, event) => sum + ("read" in event ? event.read : event.steps), 0);
    const capacity = this.#total + SPARE;
    this.#slabs = Array.from({ length: config.layers * MAX_SEQUENCES }, (_, i) =>
      i % MAX_SEQUENCES === SEQUENCE || (copies && i % MAX_SEQUENCES === COPY)
        ? memory.slab(this.#model, capacity)
        : { address: 0, capacity: 0 },
    );
    const tableBytes = sequenceBuffers(this.#model, MAX_SEQUENCES);
    const stepBytes = decodeBuffers(this.#model, 2, capacity + SPARE, this.#tuning);
    this.#step = {
      slabs: memory.upload(slabTable(this.#slabs)),
      settings: memory.zeros(tableBytes.settings),
      records: memory.zeros(tableBytes.records),
      rowSequences: memory.upload(new Int32Array([-1, SEQUENCE])),
      positions: memory.zeros(stepBytes.positions),
      logits: memory.zeros(stepBytes.logits),
      partials: memory.zeros(stepBytes.partials),
      arrivals: memory.zeros(stepBytes.arrivals),
    };
    this.#none = 0;
    this.#rotaryTable = config.rotary ? memory.upload(rotaryTable(config.rotary, this.#total)) : null;
    this.#slopes = config.alibiSlopes ? memory.upload(Float32Array.from(config.alibiSlopes)) : null;
    const at = SEQUENCE * RECORD_WORDS;
    this.#record[at + recordWord.seedLow] = text.seed;
    this.#record[at + recordWord.stream] = text.stream;
  }

  async run(projectionOf: ProjectionOf): Promise<TextState[]> {
    const states: TextState[] = [];
    const { layers } = this.#model;
    const at = SEQUENCE * RECORD_WORDS;
    let isBegun = false;
    let hasFreshRecord = false;
    for (const { tokens, isStep, isEnd, readTokens } of piecesOf(this.#events)) {
      const seen = this.#record[at + recordWord.tokensSeen]!;
      const outputs: Float32Array[] = [];
      this.#record[at + recordWord.tokensSeen] = seen + tokens;
      if (isStep) {
        // The device counts by itself.
        if (!hasFreshRecord) throw new Error("a text begins with a read");
        this.#record[at + recordWord.step]!++;
        const kernels = decodeKernels(this.#model, this.#tuning);
        const sizes = { rows: 2, maxSequences: MAX_SEQUENCES, capacity: this.#total + 2 * SPARE };
        if (this.#copiesNext) await this.#copy();
        await this.#memory.launch(advanceCall(kernels, sizes, this.#step));
        for (let layer = 0; layer < layers; layer++) {
          outputs.push(await this.#attendStep(layer, projectionOf(layer, seen, 1)));
          if (!this.#text.policy.rule && !this.#isShared) await this.#dropByHost([layer]);
        }
        if (!this.#text.policy.rule && this.#isShared)
          await this.#dropByHost(Array.from({ length: layers }, (_, layer) => layer));
        if (this.#isShared) await this.#memory.launch(sharedEvictCall(kernels, sizes, this.#step));
      } else {
        this.#writeSettings(readTokens);
        this.#memory.write(this.#step.records, this.#record);
        hasFreshRecord = true;
        for (let layer = 0; layer < layers; layer++) {
          outputs.push(
            await this.#read(layer, projectionOf(layer, seen, tokens), tokens, { isBegun, isEnd }),
          );
        }
        if (isEnd && this.#isShared) await this.#keepShared();
        isBegun = !isEnd;
      }
      const entries = Array.from({ length: layers }, (_, layer) =>
        this.#memory.entries(this.#model, this.#slab(layer)),
      );
      states.push({ outputs, entries: isEnd ? entries : null });
    }
    return states;
  }

  #copiedLayers(): CopiedEntries[] {
    return Array.from({ length: this.#model.layers }, (_, layer) =>
      this.#memory.copied(this.#model, layer, this.#slab(layer)),
    );
  }

  #progress(): SequenceProgress {
    const at = SEQUENCE * RECORD_WORDS;
    return {
      promptTokens: this.#promptTokens,
      tokensSeen: this.#record[at + recordWord.tokensSeen]!,
      step: this.#record[at + recordWord.step]!,
      // All layers of these models have one window.
      slidingWindow: this.#model.slidingWindow(0),
    };
  }

  /** The host's choice in place of the kernel's. */
  #keepByHost(layers: CopiedEntries[], sizes: reads.PrefillSizes, places: reads.PrefillPlaces<number>): void {
    const kept = keptByHost(this.#text.policy, layers, this.#progress());
    const slots = new Int32Array(kept.length * sizes.capacity);
    for (const [head, own] of kept.entries()) slots.set(own, head * sizes.capacity);
    this.#memory.write(places.kept, slots);
    this.#memory.write(
      places.keptCounts,
      Int32Array.from(kept, ({ length }) => length),
    );
  }

  async #dropByHost(layers: readonly number[]): Promise<void> {
    const copied = layers.map((layer) => this.#memory.copied(this.#model, layer, this.#slab(layer)));
    for (const round of evictedByHost(this.#text.policy, copied, this.#progress())) {
      const slots = this.#memory.upload(round);
      for (const layer of layers) {
        const places = { ...this.#tables(layer), slots };
        await this.#memory.launch(
          dropCall(
            decodeKernels(this.#model, this.#tuning),
            { sequence: SEQUENCE, maxSequences: MAX_SEQUENCES },
            places,
          ),
        );
      }
    }
  }

  #slab(layer: number): DeviceSlab {
    return this.#slabs[layer * MAX_SEQUENCES + SEQUENCE]!;
  }

  #writeSettings(promptTokens: number): void {
    this.#promptTokens = promptTokens;
    const words = new Int32Array(this.#model.layers * MAX_SEQUENCES * SETTINGS_WORDS);
    for (let layer = 0; layer < this.#model.layers; layer++) {
      words.set(
        settingsWords(this.#text.policy, { promptTokens, step: 0 }),
        (layer * MAX_SEQUENCES + SEQUENCE) * SETTINGS_WORDS,
      );
    }
    this.#memory.write(this.#step.settings, words);
  }

  /** The rows of the tables for a layer. */
  #tables(layer: number): { slabs: number; settings: number } {
    const bytes = sequenceBuffers(this.#model, MAX_SEQUENCES);
    return {
      slabs: this.#step.slabs + (layer * bytes.slabs) / this.#model.layers,
      settings: this.#step.settings + (layer * bytes.settings) / this.#model.layers,
    };
  }

  #upload(values: Float32Array): number {
    const { dtype } = this.#model;
    return this.#memory.upload(dtype === "float32" ? values : encodeHalf(dtype, values));
  }

  #download(address: number, length: number): Float32Array {
    const { dtype } = this.#model;
    if (dtype === "float32") return this.#memory.read(new Float32Array(length), address);
    return decodeHalf(dtype, this.#memory.read(new Uint16Array(length), address));
  }

  /** The text goes on in two sequences at once, in rows of the same launches. */
  async #copy(): Promise<void> {
    this.#copiesNext = false;
    this.#isCopied = true;
    for (let at = 0; at < this.#slabs.length; at += MAX_SEQUENCES) {
      this.#memory.copy(this.#slabs[at + COPY]!, this.#slabs[at + SEQUENCE]!, this.#model);
    }
    const records = this.#memory.read(new Int32Array(MAX_SEQUENCES * RECORD_WORDS), this.#step.records);
    records.copyWithin(COPY * RECORD_WORDS, SEQUENCE * RECORD_WORDS, (SEQUENCE + 1) * RECORD_WORDS);
    this.#memory.write(this.#step.records, records);
    const settings = new Int32Array(this.#model.layers * MAX_SEQUENCES * SETTINGS_WORDS);
    this.#memory.read(settings, this.#step.settings);
    for (let layer = 0; layer < this.#model.layers; layer++) {
      const at = layer * MAX_SEQUENCES * SETTINGS_WORDS;
      settings.copyWithin(
        at + COPY * SETTINGS_WORDS,
        at + SEQUENCE * SETTINGS_WORDS,
        at + COPY * SETTINGS_WORDS,
      );
    }
    this.#memory.write(this.#step.settings, settings);
    this.#memory.write(this.#step.rowSequences, new Int32Array([COPY, SEQUENCE]));
  }

  #requireSame(own: Float32Array, copied: Float32Array, layer: number): void {
    if (own.some((x, i) => !Object.is(x, copied[i]))) throw new Error(`a copy differs in layer ${layer}`);
  }

  /** q, k and v side by side, as one product gives them, `copies` times; the first rows are idle unless copied to. */
  #projected({ q, k, v }: Projected, tokens: number, idle: number, copies = 1) {
    const { heads, kvHeads, headDim } = this.#model;
    const [wide, narrow] = [heads * headDim, kvHeads * headDim];
    const stride = wide + 2 * narrow;
    const rows = new Float32Array((idle + tokens) * stride);
    for (let row = 0; row < tokens; row++) {
      const at = (idle + row) * stride;
      rows.set(q.subarray(row * wide, (row + 1) * wide), at);
      rows.set(k.subarray(row * narrow, (row + 1) * narrow), at + wide);
      rows.set(v.subarray(row * narrow, (row + 1) * narrow), at + wide + narrow);
    }
    if (copies === 2) rows.copyWithin(0, stride, 2 * stride);
    const address = this.#upload(rows);
    const bytes = this.#model.dtype === "float32" ? 4 : 2;
    const strides = { qStride: stride, kStride: stride, vStride: stride };
    return { q: address, k: address + bytes * wide, v: address + bytes * (wide + narrow), ...strides };
  }

  async #attendStep(layer: number, projected: Projected): Promise<Float32Array> {
    const { heads, headDim } = this.#model;
    const width = heads * headDim;
    const out = this.#upload(new Float32Array(2 * width));
    const { q, k, v, ...strides } = this.#projected(projected, 1, 1, 2);
    const call = attendCall(
      decodeKernels(this.#model, this.#tuning),
      { rows: 2, maxSequences: MAX_SEQUENCES, capacity: this.#total + 2 * SPARE },
      {
        ...this.#step,
        ...this.#tables(layer),
        q,
        k,
        v,
        rotaryTable: this.#rotaryTable,
        slopes: this.#slopes,
        out,
      },
      { layer, scale: this.#text.config.attentionScale(layer), ...strides, rotaryRows: this.#total },
      this.#none,
    );
    await this.#memory.launch(call);
    const rows = this.#download(out, 2 * width);
    const own = rows.subarray(width);
    if (this.#isCopied) this.#requireSame(own, rows.subarray(0, width), layer);
    return own;
  }

  async #read(
    layer: number,
    projected: Projected,
    rows: number,
    { isBegun, isEnd }: { isBegun: boolean; isEnd: boolean },
  ): Promise<Float32Array> {
    const memory = this.#memory;
    const model = this.#model;
    const { policy } = this.#text;
    const kernels = prefillKernels(model);
    const slab = this.#slab(layer);
    const held = Math.max(...memory.entries(model, slab).map(({ positions }) => positions.length));
    const sizes = this.#readSizes(layer, rows, held + rows);
    const places = this.#readPlaces(layer, sizes);
    const width = model.heads * model.headDim;
    const out = this.#upload(new Float32Array(rows * width));
    const lift = { isPrefill: true, isReset: !isBegun, slabCapacity: slab.capacity, rotaryRows: this.#total };
    const { q, k, v, ...strides } = this.#projected(projected, rows, 0);
    const isSettled = isEnd ? settleCalls(kernels, sizes, places, policy) : [];
    await memory.launch(
      reads.liftCall(kernels, sizes, places, lift),
      reads.appendCall(kernels, sizes, places, { q, k, v, ...strides }, this.#total),
      reads.attendPrefillCall(kernels, sizes, places, out),
      ...reads.scoreCalls(kernels, sizes, places, policy),
      ...isSettled,
      keepCall(kernels, sizes, places, { by: "scores", keepsAll: !isEnd || this.#isShared }),
    );
    if (!policy.rule && isEnd && !this.#isShared) {
      const region = { address: places.region, capacity: sizes.capacity };
      this.#keepByHost([memory.copied(model, layer, region, rows)], sizes, places);
    }
    await memory.launch(
      gatherCall(kernels, sizes, places, {
        isInPlace: false,
        isRenumbered: policy.positions === "new",
      }),
    );
    return this.#download(out, rows * width);
  }

  #readSizes(layer: number, rows: number, entries: number): reads.PrefillSizes {
    return {
      sequence: SEQUENCE,
      maxSequences: MAX_SEQUENCES,
      layer,
      rows,
      queryStride: rows + SPARE,
      capacity: entries + SPARE,
      entries,
      scale: this.#text.config.attentionScale(layer),
    };
  }

  #readPlaces(layer: number, { queryStride, capacity }: reads.PrefillSizes): reads.PrefillPlaces<number> {
    const memory = this.#memory;
    const bytes = prefillBuffers(this.#model, queryStride, capacity);
    return {
      ...this.#tables(layer),
      records: this.#step.records,
      region: memory.zeros(bytes.region.bytes),
      queries: memory.zeros(bytes.queries),
      rowSums: memory.zeros(bytes.rowSums),
      votes: memory.zeros(bytes.votes),
      kept: memory.zeros(bytes.kept),
      keptCounts: memory.zeros(bytes.keptCounts),
      unrotated: this.#model.isRenumbered ? memory.zeros(bytes.unrotated) : null,
      rotaryTable: this.#rotaryTable,
      slopes: this.#slopes,
      none: this.#none,
    };
  }

  /** Layers that decide together choose once all are read. */
  async #keepShared(): Promise<void> {
    const kernels = prefillKernels(this.#model);
    const first = this.#slab(0);
    const sizes = { ...this.#readSizes(0, 0, this.#total), capacity: first.capacity };
    const places = { ...this.#readPlaces(0, { ...sizes, queryStride: 1 }), region: first.address };
    await this.#memory.launch(
      sumLayersCall(kernels, sizes, places, this.#step.slabs),
      keepCall(kernels, sizes, places, { by: "votes", keepsAll: false }),
    );
    if (!this.#text.policy.rule) this.#keepByHost(this.#copiedLayers(), sizes, places);
    for (let layer = 0; layer < this.#model.layers; layer++) {
      const own = { ...places, ...this.#tables(layer), region: this.#slab(layer).address };
      await this.#memory.launch(
        gatherCall(kernels, { ...sizes, layer }, own, { isInPlace: true, isRenumbered: false }),
      );
    }
  }
}
