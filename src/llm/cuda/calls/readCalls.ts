/**
 * @file The launches of a prompt or a further turn of one text over one layer's cache.
 *
 * The new tokens lie in a **region**, a slab of scratch with room for what is kept and what is new, which all layers use
 * in turn. In a layer: `liftCall` puts what is kept before them, `appendCall` adds them, `attendReadCall` attends,
 * `scoreCalls` and `settleCalls` score, `keepCall` chooses and `gatherCall` brings what stays into the text's slab. A
 * piece that is not the last of its read keeps all and is not settled; the slab needs room for it. The seat's record
 * says the tokens seen with the new ones, and the settings are those of the text's length when the read ends.
 *
 * Where all layers decide together, each keeps all (settled), and the slabs need room for it; when the last layer is
 * done, `sumLayersCall`, one `keepCall` by those sums over the first layer's slab, and a `gatherCall` in place for each
 * layer. The calls from `settleCalls` on are in `keepCalls.ts`.
 */
import { dtypeBytes } from "../../../base/dtype.ts";
import { argument, type KernelCall } from "../../../engine/targets/cuda/index.ts";
import type { KvPolicy } from "../../kv/policy.ts";
import { promptBuffers, seatBuffers, slabLayout } from "./buffers.ts";
import { LIFT_SLOTS, type ReadKernels, readThreads, type RowKernel } from "./readKernels.ts";

/** A read of one text in one layer. */
export interface ReadSizes {
  readonly seat: number;
  readonly seats: number;
  readonly layer: number;
  /** New tokens of this piece. */
  readonly rows: number;
  /** Rows from one head of `queries` and `rowSums` to the next, at least `rows`. */
  readonly queryStride: number;
  /** Entries that the region has room for. */
  readonly capacity: number;
  /** Entries that are kept and new, at most: of the head that has most. */
  readonly entries: number;
  readonly scale: number;
}

/** Memory of a read. `slabs` and `settings` are rows `layer` of the tables. */
export interface ReadPlaces<P> {
  readonly slabs: P;
  readonly settings: P;
  readonly records: P;
  /** The region's base. */
  readonly region: P;
  /** As `promptBuffers` has them. */
  readonly queries: P;
  readonly rowSums: P;
  readonly votes: P;
  readonly kept: P;
  readonly keptCounts: P;
  /** Null where no text numbers its entries anew. */
  readonly unrotated: P | null;
  /** `rotaryTable`; null for a model without. */
  readonly turns: P | null;
  /** float32 `[heads]`; null for a model without. */
  readonly slopes: P | null;
  /** The place that stands for null. */
  readonly none: P;
}

/** Sizes and arguments that the calls of a read share. */
export function readArguments<P>({ model }: ReadKernels, sizes: ReadSizes, places: ReadPlaces<P>) {
  const { layers, heads, headDim, dtype } = model;
  const seatBytes = seatBuffers(model, sizes.seats);
  const scratch = promptBuffers(model, sizes.queryStride, sizes.capacity);
  const regionBytes = slabLayout(model, sizes.capacity).bytes;
  const optional = (place: P | null, bytes: number) =>
    argument.read(place ?? places.none, place === null ? 0 : bytes);
  return {
    optional,
    scratch,
    element: dtypeBytes(dtype),
    width: heads * headDim,
    window: argument.int32(model.slidingWindow ?? 0),
    slabs: argument.read(places.slabs, seatBytes.slabs / layers),
    records: argument.read(places.records, seatBytes.records),
    settings: argument.read(places.settings, seatBytes.settings / layers),
    seat: argument.int32(sizes.seat),
    rows: argument.int32(sizes.rows),
    region: [argument.update(places.region, regionBytes), argument.int32(sizes.capacity)],
    unrotated: argument.update(
      places.unrotated ?? places.none,
      places.unrotated === null ? 0 : scratch.unrotated,
    ),
  };
}

/**
 * Copies what a text has cached to a region, in order of position.
 * @param isRead new tokens follow, so that keys must be turned; otherwise it only moves, into a larger slab
 * @param isReset a prompt or a turn begins: scores that belong to one read alone begin at zero
 * @param slabCapacity entries that the text's slab has room for
 * @param turnRows rows of `turns`
 */
export function liftCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  options: { isRead: boolean; isReset: boolean; slabCapacity: number; turnRows: number },
): KernelCall<P> {
  const { slabs, settings, seat, region, unrotated, optional } = readArguments(kernels, sizes, places);
  const { isRead, isReset, slabCapacity, turnRows } = options;
  const turnBytes = 4 * turnRows * (kernels.model.rotary?.dim ?? 0);
  return {
    label: `lift of layer ${sizes.layer}`,
    source: kernels.lift,
    grid: [Math.max(1, Math.ceil(slabCapacity / LIFT_SLOTS)), kernels.model.kvHeads, 1],
    block: [readThreads.lift, 1, 1],
    arguments: [
      slabs,
      settings,
      seat,
      ...region,
      unrotated,
      optional(places.turns, turnBytes),
      argument.int32(Number(isRead)),
      argument.int32(Number(isReset)),
    ],
  };
}

/** Projections of the new tokens, not yet turned; strides are elements from one row to the next. */
export interface Projections<P> {
  readonly q: P;
  readonly k: P;
  readonly v: P;
  readonly qStride: number;
  readonly kStride: number;
  readonly vStride: number;
}

/** Adds the new tokens to the region, and turns queries and keys. @param turnRows rows of `turns` */
export function appendCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { q, k, v, qStride, kStride, vStride }: Projections<P>,
  turnRows: number,
): KernelCall<P> {
  const { heads, kvHeads, headDim, rotary } = kernels.model;
  const { records, settings, seat, region, unrotated, optional, element, scratch } = readArguments(
    kernels,
    sizes,
    places,
  );
  const span = (stride: number, width: number) => element * ((sizes.rows - 1) * stride + width * headDim);
  return {
    label: `append of ${sizes.rows} tokens to layer ${sizes.layer}`,
    source: kernels.append,
    grid: [sizes.rows, 1, 1],
    block: [readThreads.append, 1, 1],
    arguments: [
      records,
      settings,
      seat,
      argument.read(q, span(qStride, heads)),
      argument.read(k, span(kStride, kvHeads)),
      argument.read(v, span(vStride, kvHeads)),
      argument.int32(qStride),
      argument.int32(kStride),
      argument.int32(vStride),
      ...region,
      argument.write(places.queries, scratch.queries),
      argument.int32(sizes.queryStride),
      unrotated,
      optional(places.turns, 4 * turnRows * (rotary?.dim ?? 0)),
      argument.int32(sizes.layer),
    ],
  };
}

function readCall<P>(
  kernels: ReadKernels,
  kernel: RowKernel,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { label, count, heads, out }: { label: string; count: number; heads: number; out: P | null },
): KernelCall<P> {
  const { seat, settings, region, optional, scratch, rows, window, element, width } = readArguments(
    kernels,
    sizes,
    places,
  );
  const seatBytes = seatBuffers(kernels.model, sizes.seats);
  return {
    label: `${label} of ${sizes.rows} tokens in layer ${sizes.layer}`,
    source: kernel.source,
    grid: [Math.ceil(count / kernel.rows), heads, 1],
    block: [kernel.threads, 1, 1],
    arguments: [
      argument.update(places.records, seatBytes.records),
      settings,
      seat,
      ...region,
      argument.read(places.queries, scratch.queries),
      argument.int32(sizes.queryStride),
      rows,
      optional(places.slopes, 4 * kernels.model.heads),
      argument.write(out ?? places.none, out === null ? 0 : element * sizes.rows * width),
      argument.update(places.rowSums, scratch.rowSums),
      argument.float32(sizes.scale),
      window,
      argument.int32(sizes.layer),
    ],
  };
}

/** Attends to what is kept and what is new. @param out `[rows, heads · headDim]` */
export function attendReadCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  out: P,
): KernelCall<P> {
  const { heads } = kernels.model;
  return readCall(kernels, kernels.attend, sizes, places, {
    label: "attention",
    count: sizes.rows,
    heads,
    out,
  });
}

/** Adds the new tokens' rows to the scores; none where the policy does not score by attention. */
export function scoreCalls<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { scoring }: KvPolicy,
): KernelCall<P>[] {
  if (scoring.from !== "attention") return [];
  const { heads, kvHeads } = kernels.model;
  const { rows, entries } = sizes;
  return [
    readCall(kernels, kernels.sums, sizes, places, { label: "score rows", count: rows, heads, out: null }),
    readCall(kernels, kernels.columns, sizes, places, {
      label: "score columns",
      count: entries,
      heads: kvHeads,
      out: null,
    }),
  ];
}
