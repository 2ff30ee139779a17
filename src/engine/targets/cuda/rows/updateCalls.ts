/**
 * @file The sparse update as kernel launches (`updateRows.cu`): each row's gradients summed in the order of its lookups,
 * and the optimizer applied once a row. The sum alone is an optimizer too.
 */
import type { KernelSource } from "../plan.ts";
import { cuSource } from "../kernels/source.ts";
import { argument, CALL_THREADS, type KernelCall } from "./kernelCall.ts";
import { longRowsOf, partialRows, segmentBytes, type SegmentPlaces } from "./segmentCalls.ts";

/** How rows change; `sum` writes the sums themselves, into rows without padding. */
export type RowRule = "sum" | "sgd" | "adagrad" | "rwsadagrad" | "adam";

const macros: Record<RowRule, string> = {
  sum: "SUM",
  sgd: "SGD",
  adagrad: "ADAGRAD",
  rwsadagrad: "ROWWISE_ADAGRAD",
  adam: "ADAM",
};

/** Numbers that a rule reads; those it does not read are 0. */
export interface RowRates {
  learningRate: number;
  epsilon?: number;
  scale?: number;
  beta1?: number;
  rest1?: number;
  beta2?: number;
  rest2?: number;
}

/** Kernels of an update. */
export interface UpdateKernels {
  rule: RowRule;
  dim: number;
  items: KernelSource;
  longRows: KernelSource;
}

/** Threads that share a row: one a vector of 4 floats, a power of two, at most a warp. */
export function lanesOf(dim: number): number {
  return Math.min(32, 2 ** Math.ceil(Math.log2(Math.ceil(dim / 4))));
}

/** Floats from a row to the next: whole vectors of 4. */
export function strideOf(dim: number): number {
  return Math.ceil(dim / 4) * 4;
}

/** The kernels that update rows of `dim` floats. */
export function updateKernels(dim: number, rule: RowRule): UpdateKernels {
  const shape = { DIM: dim, LANES: lanesOf(dim), THREADS: CALL_THREADS, [macros[rule]]: 1 };
  return {
    rule,
    dim,
    items: cuSource("updateRows.cu", "updateItems", { ...shape, ITEMS: 1 }),
    longRows: cuSource("updateRows.cu", "updateLongRows", { ...shape, LONG_ROWS: 1 }),
  };
}

/** What an update reads and writes. */
export interface UpdatePlaces<P> extends Omit<SegmentPlaces<P>, "tileItems"> {
  weights: P;
  /** Unused states, `changed` and `guard` are null. */
  state0: P | null;
  state1: P | null;
  /** `[bags, D]`, the row of `gradients` of each sorted lookup in `bags`. */
  gradients: P;
  bags: P;
  /** {@link partialBytes}. */
  partials: P;
  /** A byte a row, set to `mark` where a row changes. */
  changed: P | null;
  /** A float; nothing is written when it is not finite. */
  guard: P | null;
}

/** Bytes of `partials` for up to `n` lookups. */
export function partialBytes(dim: number, n: number): number {
  return 4 * strideOf(dim) * Math.max(1, partialRows(n));
}

/** Sizes of an update. */
export interface UpdateShape {
  /** Lookups, above 0. */
  n: number;
  /** Rows of `weights`. */
  rows: number;
  /** Rows of `gradients`. */
  bags: number;
  mark: number;
}

/**
 * The launches of an update.
 * @param none the place that stands for null
 */
export function updateCalls<P>(
  { rule, dim, items, longRows }: UpdateKernels,
  { n, rows, bags, mark }: UpdateShape,
  places: UpdatePlaces<P>,
  rates: RowRates,
  none: P,
): KernelCall<P>[] {
  const bytes = segmentBytes(n);
  const groups = CALL_THREADS / lanesOf(dim);
  const stride = rule === "sum" ? dim : strideOf(dim);
  const read = (name: keyof SegmentPlaces<P> & keyof UpdatePlaces<P>) =>
    argument.read(places[name], bytes[name]);
  const optional = (place: P | null, size: number) =>
    place === null ? argument.read(none, 0) : argument.update(place, size);
  const head = [
    argument.update(places.weights, 4 * stride * rows),
    optional(places.state0, 4 * rows * (rule === "rwsadagrad" ? 1 : stride)),
    optional(places.state1, 4 * rows * stride),
  ];
  const tail = [
    argument.update(places.partials, partialBytes(dim, n)),
    optional(places.changed, rows),
    places.guard === null ? argument.read(none, 0) : argument.read(places.guard, 4),
    argument.int32(mark),
    ...[
      rates.learningRate,
      rates.epsilon,
      rates.scale,
      rates.beta1,
      rates.rest1,
      rates.beta2,
      rates.rest2,
    ].map((value) => argument.float32(value ?? 0)),
  ];
  const block = [CALL_THREADS, 1, 1] as const;
  // The mean over a row needs all of it at once; other rules take each segment of a long row in blocks of its own.
  const segments = rule === "rwsadagrad" ? 1 : Math.ceil(strideOf(dim) / 4 / lanesOf(dim));
  const calls: KernelCall<P>[] = [
    {
      label: `${rule} of ${n} lookups`,
      source: items,
      grid: [Math.ceil(n / groups), segments, 1],
      block,
      arguments: [
        ...head,
        argument.read(places.gradients, 4 * dim * bags),
        argument.read(places.bags, 4 * n),
        read("items"),
        read("itemRows"),
        read("count"),
        ...tail,
      ],
    },
  ];
  const long = longRowsOf(n);
  if (long === 0) return calls;
  calls.push({
    label: `${rule} of rows with over 64 lookups`,
    source: longRows,
    grid: [Math.ceil(long / groups), segments, 1],
    block,
    arguments: [...head, read("items"), read("itemRows"), read("longRows"), read("longCount"), ...tail],
  });
  return calls;
}
