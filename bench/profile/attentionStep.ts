/**
 * @file Microseconds of one layer's attention over caches in a decode step (append, attention, scores, noise, eviction),
 * and the rate of the bytes that it reads, for numbers of texts and lengths of their caches.
 */
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { CallQueue, type CapturedGraph, CudaDevice } from "../../src/engine/targets/cuda/index.ts";
import { attendTuning, type AttendTuning } from "../../src/llm/cuda/calls/attendTuning.ts";
import {
  RECORD_WORDS,
  sequenceBuffers,
  recordWord,
  SETTINGS_WORDS,
  SLAB_WORDS,
  slabLayout,
  decodeBuffers,
} from "../../src/llm/cuda/calls/buffers.ts";
import type { KvModel } from "../../src/llm/cuda/calls/model.ts";
import { rotaryTable } from "../../src/llm/cuda/calls/rotaryTable.ts";
import { settingsWords } from "../../src/llm/cuda/calls/settings.ts";
import { advanceCall, attendCall, decodeKernels } from "../../src/llm/cuda/calls/decodeCalls.ts";
import { full } from "../../src/llm/kv/policies/full.ts";
import { keyformer } from "../../src/llm/kv/policies/keyformer.ts";
import { window } from "../../src/llm/kv/policies/window.ts";
import type { KvPolicy } from "../../src/llm/kv/policy.ts";
import type { DecoderConfig } from "../../src/llm/models/decoder.ts";
import type { GpuRates } from "../harness/gpuRates.ts";
import type { BenchRow } from "../harness/rows.ts";
import { shapeOf, type ShapeName } from "../llm/shapes.ts";

/** What to profile. */
export interface AttentionProfileOptions {
  shapes: readonly ShapeName[];
  /** Other layouts than the one that is used too, each named by what differs. */
  sweep: boolean;
  small: boolean;
  rates: GpuRates;
}

/** Texts and entries of each. */
const CASES: readonly (readonly [number, number])[] = [
  [1, 1024],
  [1, 2048],
  [4, 512],
  [4, 1536],
  [4, 4096],
  [32, 512],
  [32, 1536],
  [32, 2048],
];
const SMALL_CASES: typeof CASES = [
  [1, 70],
  [3, 40],
];
/** A step's layers hold more than a GPU's caches, so that each reads from memory as in a model. */
const WORKING_BYTES = 400e6;
const LAYERS_MAX = 32;
/** Steps that a full cache has room for; then its texts begin anew. */
const ROOM = 64;

/** Samples of a time, and milliseconds of each. */
function samplesOf({ small, sweep }: AttentionProfileOptions): { count: number; ms: number } {
  return small ? { count: 1, ms: 0 } : { count: sweep ? 3 : 7, ms: 4 };
}

const policies: Record<string, (entries: number) => KvPolicy> = {
  full: () => full(),
  window: (entries) => window({ budget: { count: entries - 1 } }),
  keyformer: (entries) => keyformer({ budget: { count: entries - 1 }, horizon: 1024 }),
};

/** Layouts that are compared. */
function variants(sweep: boolean): Record<string, Partial<AttendTuning>> {
  if (!sweep) return { used: {} };
  const all: Record<string, Partial<AttendTuning>> = { used: {} };
  for (const blocks of [264, 396, 792, 1056]) all[`blocks ${blocks}`] = { blocks };
  for (const stages of [2, 3]) all[`stages ${stages}`] = { stages };
  all["passes 1, stages 8"] = { passes: 1, stages: 8 };
  all["passes 4, stages 2"] = { passes: 4, stages: 2 };
  all["chunk 32"] = { chunk: 32 };
  all["chunk 128"] = { chunk: 128 };
  all["threads 256"] = { threads: 256, stages: 2 };
  all["threads 256, chunk 128"] = { threads: 256, chunk: 128, stages: 2 };
  return all;
}

function modelOf({
  layers,
  heads,
  kvHeads,
  headDim,
  rotary,
  alibiSlopes,
  slidingWindow,
}: DecoderConfig): KvModel {
  return {
    layers,
    heads,
    kvHeads,
    headDim,
    dtype: "bfloat16",
    hasAlibi: alibiSlopes !== null,
    rotary: rotary && { dim: rotary.dim, isInterleaved: rotary.isInterleaved, factor: 1 },
    slidingWindow,
    isRenumbered: false,
  };
}

/** Texts of a length in layers' slabs. */
class Texts {
  readonly layers: number;
  readonly #device: CudaDevice;
  readonly #config: DecoderConfig;
  readonly #model: KvModel;
  readonly #memory: (() => void)[] = [];
  readonly #maxSequences: number;
  readonly #entries: number;
  readonly #capacity: number;
  readonly #slabs: number[] = [];
  readonly #tables: { slabs: number; settings: number; records: number };

  constructor(
    device: CudaDevice,
    config: DecoderConfig,
    maxSequences: number,
    entries: number,
    workingBytes: number,
  ) {
    const layerBytes = maxSequences * slabLayout(modelOf(config), entries).bytes;
    this.layers = Math.min(LAYERS_MAX, Math.max(2, Math.ceil(workingBytes / layerBytes)));
    this.#device = device;
    this.#config = config;
    this.#model = { ...modelOf(config), layers: this.layers };
    this.#maxSequences = maxSequences;
    this.#entries = entries;
    this.#capacity = entries + ROOM;
    const layout = slabLayout(this.#model, this.#capacity);
    const noise = Uint16Array.from(
      { length: 1 << 20 },
      (_, i) => 0x3d00 + (Math.imul(i, 2654435761) >>> 24) + (i % 2) * 0x8000,
    );
    const pattern = this.#filled(noise);
    const words = new Uint32Array(this.layers * maxSequences * SLAB_WORDS);
    const { kvHeads } = this.#model;
    const positions = Int32Array.from({ length: kvHeads * this.#capacity }, (_, i) => i % this.#capacity);
    for (let i = 0; i < this.layers * maxSequences; i++) {
      const slab = this.#allocate(layout.bytes);
      this.#slabs.push(slab);
      for (let at = 0; at < layout.bytes; at += noise.byteLength)
        device.stream.copyOnDevice(slab + at, pattern, Math.min(noise.byteLength, layout.bytes - at));
      if (i === 0)
        device.stream.copyToDevice(slab + layout.positions.offsetBytes, positions, positions.byteLength);
      else {
        const from = this.#slabs[0]! + layout.positions.offsetBytes;
        device.stream.copyOnDevice(slab + layout.positions.offsetBytes, from, layout.positions.bytes);
      }
      device.stream.clear(slab + layout.scores.offsetBytes, layout.scores.bytes);
      words.set([slab % 2 ** 32, Math.floor(slab / 2 ** 32), this.#capacity], i * SLAB_WORDS);
    }
    const bytes = sequenceBuffers(this.#model, maxSequences);
    this.#tables = {
      slabs: this.#filled(words),
      settings: this.#allocate(bytes.settings),
      records: this.#allocate(bytes.records),
    };
  }

  /** All texts hold their entries again, but for the one that a step brings. */
  begin(policy: KvPolicy): void {
    const { layers, kvHeads } = this.#model;
    const { stream } = this.#device;
    const settings = new Int32Array(layers * this.#maxSequences * SETTINGS_WORDS);
    for (let at = 0; at < settings.length; at += SETTINGS_WORDS)
      settings.set(settingsWords(policy, { promptTokens: this.#entries - 1, step: 0 }), at);
    stream.copyToDevice(this.#tables.settings, settings, settings.byteLength);
    const records = new Int32Array(this.#maxSequences * RECORD_WORDS);
    for (let sequence = 0; sequence < this.#maxSequences; sequence++) {
      records[sequence * RECORD_WORDS + recordWord.tokensSeen] = this.#entries - 1;
      records[sequence * RECORD_WORDS + recordWord.stream] = sequence;
    }
    stream.copyToDevice(this.#tables.records, records, records.byteLength);
    const lengths = new Int32Array(kvHeads).fill(this.#entries - 1);
    const { offsetBytes } = slabLayout(this.#model, this.#capacity).lengths;
    for (const slab of this.#slabs) stream.copyToDevice(slab + offsetBytes, lengths, lengths.byteLength);
  }

  /** Records a step of all layers. */
  async record(tuning: AttendTuning): Promise<{ graph: CapturedGraph; free: () => void }> {
    const { heads, kvHeads, headDim } = this.#model;
    const kernels = decodeKernels(this.#model, tuning);
    const queue = await CallQueue.compile(this.#device, [kernels.advance, kernels.attend]);
    const sizes = { rows: this.#maxSequences, maxSequences: this.#maxSequences, capacity: this.#capacity };
    const bytes = decodeBuffers(this.#model, this.#maxSequences, this.#capacity, tuning);
    const held = this.#memory.length;
    const stride = (heads + 2 * kvHeads) * headDim;
    const projected = this.#filled(new Uint16Array(this.#maxSequences * stride).fill(0x3d80));
    const { rotary, alibiSlopes } = this.#config;
    const rotaryRows = this.#capacity + 8;
    const places = {
      records: this.#tables.records,
      rowSequences: this.#filled(Int32Array.from({ length: this.#maxSequences }, (_, sequence) => sequence)),
      positions: this.#allocate(bytes.positions),
      logits: this.#allocate(bytes.logits),
      partials: this.#allocate(bytes.partials),
      arrivals: this.#allocate(bytes.arrivals),
      q: projected,
      k: projected + 2 * heads * headDim,
      v: projected + 2 * (heads + kvHeads) * headDim,
      rotaryTable: rotary && this.#filled(rotaryTable(rotary, rotaryRows)),
      slopes: alibiSlopes && this.#filled(Float32Array.from(alibiSlopes)),
      out: this.#allocate(2 * this.#maxSequences * heads * headDim),
    };
    this.#device.stream.clear(places.arrivals, bytes.arrivals);
    const layerTables = (layer: number) => ({
      slabs: this.#tables.slabs + 4 * layer * this.#maxSequences * SLAB_WORDS,
      settings: this.#tables.settings + 4 * layer * this.#maxSequences * SETTINGS_WORDS,
    });
    const numbers = { scale: headDim ** -0.5, qStride: stride, kStride: stride, vStride: stride, rotaryRows };
    const graph = this.#device.stream.capture(() => {
      queue.launch(this.#device.stream, [advanceCall(kernels, sizes, { ...places, ...layerTables(0) })]);
      for (let layer = 0; layer < this.layers; layer++) {
        const call = attendCall(
          kernels,
          sizes,
          { ...places, ...layerTables(layer) },
          { ...numbers, layer },
          0,
        );
        queue.launch(this.#device.stream, [call]);
      }
    });
    return {
      graph,
      free: () => {
        graph.dispose();
        for (const free of this.#memory.splice(held)) free();
      },
    };
  }

  dispose(): void {
    for (const free of this.#memory.splice(0)) free();
  }

  #allocate(bytes: number): number {
    const buffer = this.#device.allocator.allocate(bytes, "a layer's attention");
    this.#memory.push(() => buffer.free());
    return buffer.pointer;
  }

  #filled(from: Uint16Array | Uint32Array | Int32Array | Float32Array): number {
    const pointer = this.#allocate(from.byteLength);
    this.#device.stream.copyToDevice(pointer, from, from.byteLength);
    return pointer;
  }
}

/** Microseconds of a layer, the median of samples. */
async function layerMicroseconds(
  device: CudaDevice,
  texts: Texts,
  policy: KvPolicy,
  tuning: AttendTuning,
  samples: { count: number; ms: number },
): Promise<number> {
  using timer = new GpuTimer(device);
  const { graph, free } = await texts.record(tuning);
  try {
    const sample = async (steps: number) => {
      texts.begin(policy);
      return (
        (await timer.milliseconds(() => {
          for (let i = 0; i < steps; i++) graph.launch(device.stream);
        })) / steps
      );
    };
    const estimate = await sample(2);
    const steps = Math.max(2, Math.min(ROOM - 1, Math.ceil(samples.ms / estimate)));
    const times: number[] = [];
    for (let i = 0; i < samples.count; i++) times.push(await sample(steps));
    return (1000 * times.toSorted((a, b) => a - b)[samples.count >> 1]!) / texts.layers;
  } finally {
    await device.finished();
    free();
  }
}

async function profileShape(
  device: CudaDevice,
  name: ShapeName,
  options: AttentionProfileOptions,
): Promise<BenchRow[]> {
  const { small, sweep, rates } = options;
  const config = shapeOf(name, small);
  const layouts = Object.entries(variants(sweep));
  // All at once, on as many threads as there are.
  await device.kernels(
    layouts.map(([, changes]) => decodeKernels(modelOf(config), { ...attendTuning, ...changes }).attend),
  );
  const rows: BenchRow[] = [];
  for (const [maxSequences, entries] of small ? SMALL_CASES : CASES) {
    const texts = new Texts(device, config, maxSequences, entries, small ? 1 : WORKING_BYTES);
    const bytes = maxSequences * entries * 4 * config.kvHeads * config.headDim;
    for (const [variant, changes] of layouts) {
      for (const [policy, of] of Object.entries(policies)) {
        const tuning = { ...attendTuning, ...changes };
        const us = await layerMicroseconds(device, texts, of(entries), tuning, samplesOf(options));
        const rate = bytes / us / 1000;
        rows.push({
          case: `attention ${name}, ${policy}`,
          size: `${maxSequences} × ${entries} entries, layout ${variant}`,
          milliseconds: us / 1000,
          figure: `${us.toFixed(1)} µs, ${rate.toFixed(0)} GB/s`,
          limit: `${(rates.bandwidth / 1e9).toFixed(0)} GB/s of memory`,
          ratio: (1e9 * rate) / rates.bandwidth,
          target: "",
          met: null,
        });
      }
    }
    await device.finished();
    texts.dispose();
  }
  return rows;
}

/** A row for each shape, number of texts, layout and policy. */
export async function profileAttention(options: AttentionProfileOptions): Promise<BenchRow[]> {
  const device = await CudaDevice.open();
  try {
    const rows: BenchRow[] = [];
    for (const name of options.shapes) rows.push(...(await profileShape(device, name, options)));
    return rows;
  } finally {
    await device.dispose();
  }
}
