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
 * layer.
 */
import { dtypeBytes } from "../../../engine/dtype.ts";
import { cuSource } from "../../../engine/targets/cuda/kernels/source.ts";
import type { KernelSource } from "../../../engine/targets/cuda/plan.ts";
import { argument, type KernelCall } from "../../../engine/targets/cuda/rows/kernelCall.ts";
import type { KvPolicy } from "../../kv/policy.ts";
import { promptBuffers, seatBuffers, slabLayout } from "./buffers.ts";
import { type KvModel, positionMacros, shapeMacros, vectorOf } from "./model.ts";

const APPEND_THREADS = 256;
const LIFT_SLOTS = 32;
const SETTLE_THREADS = 256;
const KEEP_THREADS = 512;
const GATHER_THREADS = 256;
const GATHER_IN_PLACE_THREADS = 1024;
/** Most blocks a KV head of a gather. */
const GATHER_BLOCKS = 64;
const PLAIN_WARPS = 4;
/** Rows that a block on tensor cores owns, and the bytes of shared memory that the rows of the other side take. */
const TILE_ROWS = 64;
const STAGED_BYTES = 40_000;
const WIDEST_ON_TENSOR_CORES = 256;

/** A kernel with the rows that a block has. */
interface RowKernel {
  readonly source: KernelSource;
  readonly rows: number;
  readonly threads: number;
}

/** Kernels of a model's prompts and turns. */
export interface ReadKernels {
  readonly model: KvModel;
  readonly lift: KernelSource;
  readonly append: KernelSource;
  readonly attend: RowKernel;
  readonly sums: RowKernel;
  readonly columns: RowKernel;
  readonly pool: KernelSource;
  readonly meanHeads: KernelSource;
  readonly sumLayers: KernelSource;
  readonly keep: KernelSource;
  readonly gather: KernelSource;
  readonly gatherInPlace: KernelSource;
}

/** The kernels of a model's prompts and turns. */
export function readKernels(model: KvModel): ReadKernels {
  const positions = positionMacros(model);
  const source = (file: string, name: string, threads: number, macros: Record<string, number> = {}) =>
    cuSource(`${file}.cu`, name, { ...shapeMacros(model, threads), ...macros });
  const settle = (name: string, macro: string, threads = SETTLE_THREADS) =>
    source("kvSettle", name, threads, { [macro]: 1 });
  const read = (name: string, macro: string) => readKernel(model, name, macro);
  return {
    model,
    lift: source("kvLift", "kvLift", SETTLE_THREADS, { ...positions, SLOTS: LIFT_SLOTS }),
    append: source("kvAppend", "kvAppend", APPEND_THREADS, positions),
    attend: read("kvReadAttend", "ATTEND"),
    sums: read("kvReadSums", "SUMS"),
    columns: read("kvReadColumns", "COLUMNS"),
    pool: settle("kvPool", "POOL", KEEP_THREADS),
    meanHeads: settle("kvMeanHeads", "MEAN"),
    sumLayers: settle("kvSumLayers", "LAYERS"),
    keep: source("kvKeep", "kvKeep", KEEP_THREADS),
    gather: source("kvGather", "kvGather", GATHER_THREADS),
    gatherInPlace: source("kvGather", "kvGather", GATHER_IN_PLACE_THREADS),
  };
}

/** The kernel on tensor cores where the element type and the width allow it. */
function readKernel(model: KvModel, name: string, macro: string): RowKernel {
  const { headDim, dtype } = model;
  const threads = 32 * PLAIN_WARPS;
  const macros = { ...shapeMacros(model, threads), ...positionMacros(model), [macro]: 1 };
  if (dtype !== "float32" && headDim % 16 === 0 && headDim <= WIDEST_ON_TENSOR_CORES) {
    const tiles = macro === "ATTEND" ? 2 : 1;
    const stagedBytes = (rows: number) => 2 * tiles * rows * 2 * (headDim + 8);
    const BN = stagedBytes(64) <= STAGED_BYTES ? 64 : stagedBytes(32) <= STAGED_BYTES ? 32 : 16;
    const half = dtype === "float16" && { HALF: 1 };
    const source = cuSource("kvReadTiles.cu", name, { ...macros, ...half, BN });
    return { source, rows: TILE_ROWS, threads };
  }
  const TILE = headDim > 128 ? 16 : 32;
  return { source: cuSource("kvReadPlain.cu", name, { ...macros, TILE }), rows: PLAIN_WARPS, threads };
}

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

/** Sizes and arguments that the calls share. */
function common<P>({ model }: ReadKernels, sizes: ReadSizes, places: ReadPlaces<P>) {
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
  const { slabs, settings, seat, region, unrotated, optional } = common(kernels, sizes, places);
  const { isRead, isReset, slabCapacity, turnRows } = options;
  const turnBytes = 4 * turnRows * (kernels.model.rotary?.dim ?? 0);
  return {
    label: `lift of layer ${sizes.layer}`,
    source: kernels.lift,
    grid: [Math.max(1, Math.ceil(slabCapacity / LIFT_SLOTS)), kernels.model.kvHeads, 1],
    block: [SETTLE_THREADS, 1, 1],
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
  const { records, settings, seat, region, unrotated, optional, element, scratch } = common(
    kernels,
    sizes,
    places,
  );
  const span = (stride: number, width: number) => element * ((sizes.rows - 1) * stride + width * headDim);
  return {
    label: `append of ${sizes.rows} tokens to layer ${sizes.layer}`,
    source: kernels.append,
    grid: [sizes.rows, 1, 1],
    block: [APPEND_THREADS, 1, 1],
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
  const { seat, settings, region, optional, scratch, rows, window, element, width } = common(
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

/** Brings scores into the form that the policy decides by, once the last piece is scored. */
export function settleCalls<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { scoring }: KvPolicy,
): KernelCall<P>[] {
  if (scoring.from !== "attention") return [];
  const { settings, seat, region, rows, scratch } = common(kernels, sizes, places);
  const calls: KernelCall<P>[] = [];
  if (scoring.rows === "window") {
    calls.push({
      label: `averages of votes in layer ${sizes.layer}`,
      source: kernels.pool,
      grid: [kernels.model.kvHeads, 1, 1],
      block: [KEEP_THREADS, 1, 1],
      arguments: [
        settings,
        seat,
        ...region,
        rows,
        argument.write(places.votes, scratch.votes),
        argument.int32(sizes.capacity),
      ],
    });
  }
  if (scoring.heads === "mean" && kernels.model.kvHeads > 1) {
    calls.push({
      label: `mean over heads in layer ${sizes.layer}`,
      source: kernels.meanHeads,
      grid: [Math.ceil(sizes.entries / SETTLE_THREADS), 1, 1],
      block: [SETTLE_THREADS, 1, 1],
      arguments: [...region, rows],
    });
  }
  return calls;
}

/** Sums a text's scores over all layers into `votes`. @param slabs the whole table; the layers' slabs are the regions */
export function sumLayersCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  slabs: P,
): KernelCall<P> {
  const { layers, kvHeads } = kernels.model;
  const { seat, scratch } = common(kernels, sizes, places);
  return {
    label: "sums of scores over layers",
    source: kernels.sumLayers,
    grid: [Math.ceil(sizes.entries / SETTLE_THREADS), kvHeads, 1],
    block: [SETTLE_THREADS, 1, 1],
    arguments: [
      argument.read(slabs, seatBuffers(kernels.model, sizes.seats).slabs),
      argument.int32(layers),
      argument.int32(sizes.seats),
      seat,
      argument.write(places.votes, scratch.votes),
      argument.int32(sizes.capacity),
    ],
  };
}

/**
 * Chooses the entries that stay.
 * @param by the region's own scores; or the sums over layers in `votes`, the region being the first layer's slab, which
 *   counts the new tokens already
 * @param keepsAll only entries that no later query sees go
 */
export function keepCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { by, keepsAll }: { by: "scores" | "votes"; keepsAll: boolean },
): KernelCall<P> {
  const { records, settings, seat, region, rows, window, scratch } = common(kernels, sizes, places);
  return {
    label: `choice of what stays in layer ${sizes.layer}`,
    source: kernels.keep,
    grid: [kernels.model.kvHeads, 1, 1],
    block: [KEEP_THREADS, 1, 1],
    arguments: [
      records,
      settings,
      seat,
      ...region,
      by === "votes" ? argument.int32(0) : rows,
      argument.read(by === "votes" ? places.votes : places.none, by === "votes" ? scratch.votes : 0),
      argument.int32(sizes.capacity),
      argument.write(places.kept, scratch.kept),
      argument.write(places.keptCounts, scratch.keptCounts),
      argument.int32(sizes.capacity),
      window,
      argument.int32(Number(keepsAll)),
    ],
  };
}

/**
 * Brings the entries that stay, `kept` and `keptCounts`, into the text's slab and says how many they are.
 * @param isInPlace the region is the text's slab
 * @param isRenumbered the policy numbers entries anew: keys come from `unrotated`
 */
export function gatherCall<P>(
  kernels: ReadKernels,
  sizes: ReadSizes,
  places: ReadPlaces<P>,
  { isInPlace, isRenumbered }: { isInPlace: boolean; isRenumbered: boolean },
): KernelCall<P> {
  const { model } = kernels;
  const { region, optional, slabs, seat, scratch } = common(kernels, sizes, places);
  const threads = isInPlace ? GATHER_IN_PLACE_THREADS : GATHER_THREADS;
  const rowsOfBlock = Math.max(1, Math.floor(threads / (model.headDim / vectorOf(model))));
  const blocks = isInPlace ? 1 : Math.min(GATHER_BLOCKS, Math.ceil(sizes.entries / rowsOfBlock));
  return {
    label: `gather of what stays in layer ${sizes.layer}`,
    source: isInPlace ? kernels.gatherInPlace : kernels.gather,
    grid: [blocks, model.kvHeads, 1],
    block: [threads, 1, 1],
    arguments: [
      ...region,
      optional(isRenumbered && model.rotary ? places.unrotated : null, scratch.unrotated),
      slabs,
      seat,
      argument.read(places.kept, scratch.kept),
      argument.read(places.keptCounts, scratch.keptCounts),
      argument.int32(sizes.capacity),
    ],
  };
}
