/** @file Sequences of a GPU as plain arrays, and back; numbers are widened to float32 and rounded to the dtype. */
import { isHalf } from "../../base/dtype.ts";
import { encodeHalf, numbersOf } from "../../base/half.ts";
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import type { LayerSnapshot } from "../kv/snapshot.ts";
import type { SequenceSnapshot } from "../runner/runner.ts";
import type { Part } from "./calls/buffers.ts";
import type { SequenceCaches, Slab } from "./sequenceCaches.ts";

/** A copy of a sequence. */
export async function takeSnapshot(
  device: CudaDevice,
  caches: SequenceCaches,
  sequence: number,
): Promise<SequenceSnapshot> {
  const { tokensSeen, promptTokens, step, slabs } = caches.at(sequence)!;
  const layers: LayerSnapshot[] = [];
  for (const slab of slabs) layers.push(await layerSnapshot(device, caches, slab, tokensSeen));
  return { tokensSeen, promptTokens, decodedTokens: step, layers };
}

async function layerSnapshot(
  device: CudaDevice,
  caches: SequenceCaches,
  { buffer, capacity }: Slab,
  tokensSeen: number,
): Promise<LayerSnapshot> {
  const { kvHeads, headDim, dtype } = caches.model;
  const layout = caches.layout(capacity);
  const bytes = new Uint8Array(layout.bytes);
  device.stream.copyToHost(bytes, buffer.pointer, bytes.length);
  await device.finished();
  const part = ({ offsetBytes, bytes: size }: Part) => bytes.buffer.slice(offsetBytes, offsetBytes + size);
  const floats = (from: Part) => {
    const block = part(from);
    return isHalf(dtype)
      ? (numbersOf(new Uint16Array(block), dtype) as Float32Array)
      : new Float32Array(block);
  };
  const lengths = new Int32Array(part(layout.lengths));
  const live = lengths.reduce((sum, length) => sum + length, 0);
  const gathered = <T extends Float32Array | Int32Array>(all: T, width: number, to: T): T => {
    let at = 0;
    for (const [head, length] of lengths.entries()) {
      const from = head * capacity * width;
      to.set(all.subarray(from, from + length * width) as never, at);
      at += length * width;
    }
    return to;
  };
  return {
    lengths,
    keys: gathered(floats(layout.keys), headDim, new Float32Array(live * headDim)),
    values: gathered(floats(layout.values), headDim, new Float32Array(live * headDim)),
    positions: gathered(new Int32Array(part(layout.positions)), 1, new Int32Array(live)),
    scores: gathered(new Float32Array(part(layout.scores)), 1, new Float32Array(live)),
    evicted: tokensSeen * kvHeads - live,
  };
}

/** Brings back a sequence, which has begun and read nothing. */
export async function restoreSnapshot(
  device: CudaDevice,
  caches: SequenceCaches,
  sequence: number,
  { tokensSeen, promptTokens, decodedTokens, layers }: SequenceSnapshot,
): Promise<void> {
  const text = caches.at(sequence)!;
  text.tokensSeen = tokensSeen;
  text.promptTokens = promptTokens;
  text.step = decodedTokens;
  text.hasPrompt = true;
  for (const [layer, snapshot] of layers.entries()) {
    const most = snapshot.lengths.reduce((longest, length) => Math.max(longest, length), 0);
    const slab = caches.newSlab(Math.max(most, caches.wantedCapacity(text, layer, promptTokens)));
    const bytes = slabBytes(caches, slab.capacity, snapshot);
    device.stream.copyToDevice(slab.buffer.pointer, bytes, bytes.length);
    caches.setSlab(sequence, layer, slab);
    text.most[layer] = most;
  }
  caches.writeRecord(sequence);
  await device.finished();
}

/** The bytes of a slab that holds a layer's entries. */
function slabBytes(caches: SequenceCaches, capacity: number, snapshot: LayerSnapshot): Uint8Array {
  const { kvHeads, headDim, dtype } = caches.model;
  const layout = caches.layout(capacity);
  const bytes = new Uint8Array(layout.bytes);
  const words = <T extends Int32Array | Float32Array | Uint16Array>(
    make: new (buffer: ArrayBuffer, offset: number, length: number) => T,
    { offsetBytes, bytes: size }: Part,
    elementBytes: number,
  ) => new make(bytes.buffer, offsetBytes, size / elementBytes);
  words(Int32Array, layout.lengths, 4).set(snapshot.lengths);
  const positions = words(Int32Array, layout.positions, 4);
  const ranks = words(Int32Array, layout.ranks, 4);
  const scores = words(Float32Array, layout.scores, 4);
  const isNarrow = isHalf(dtype);
  const rows = (part: Part) => (isNarrow ? words(Uint16Array, part, 2) : words(Float32Array, part, 4));
  const [keys, values] = [rows(layout.keys), rows(layout.values)];
  let from = 0;
  for (let head = 0; head < kvHeads; head++) {
    const to = head * capacity;
    const end = from + snapshot.lengths[head]!;
    const own = snapshot.positions.subarray(from, end);
    positions.set(own, to);
    for (const [rank, slot] of Array.from(own.keys())
      .sort((a, b) => own[a]! - own[b]!)
      .entries())
      ranks[to + slot] = rank;
    scores.set(snapshot.scores.subarray(from, end), to);
    for (const [target, source] of [
      [keys, snapshot.keys],
      [values, snapshot.values],
    ] as const) {
      const part = source.subarray(from * headDim, end * headDim);
      target.set(isNarrow ? encodeHalf(dtype, part) : part, to * headDim);
    }
    from = end;
  }
  return bytes;
}
