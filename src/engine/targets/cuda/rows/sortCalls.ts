/**
 * @file The stable radix sort of (key, value) pairs of 32 bits as kernel launches (`radixSort.cu`): three a digit of up
 * to 8 bits, over no more bits than the keys have.
 */
import type { KernelSource } from "../plan.ts";
import { cuSource } from "../kernels/source.ts";
import { argument, CALL_THREADS, type KernelCall } from "./kernelCall.ts";

/** Pairs of a tile; `TILE` of the kernels. */
export const TILE = 2048;

/** Kernels of a sort. */
export interface SortKernels {
  /** Digits, and bits of each. */
  passes: number;
  bits: number;
  count: KernelSource;
  scan: KernelSource;
  scatter: KernelSource;
  /** For a first pass whose values are the places of the keys. */
  scatterPlaces: KernelSource;
}

/** The kernels that sort keys below `keys`. */
export function sortKernels(keys: number): SortKernels {
  const all = Math.max(1, Math.ceil(Math.log2(keys)));
  const passes = Math.ceil(all / 8);
  const bits = Math.ceil(all / passes);
  const kernel = (name: string, ...macros: string[]) =>
    cuSource("radixSort.cu", name, {
      BITS: bits,
      ...Object.fromEntries(macros.map((macro) => [macro, 1])),
    });
  return {
    passes,
    bits,
    count: kernel("countDigits", "COUNT"),
    scan: kernel("scanDigits", "SCAN"),
    scatter: kernel("scatterDigits", "SCATTER"),
    scatterPlaces: kernel("scatterDigits", "SCATTER", "IOTA"),
  };
}

/** Memory of a sort. Pairs go back and forth between the two outputs; the input stays as it is. */
export interface SortPlaces<P> {
  keys: P;
  /** Null: the values are the places of the keys. */
  values: P | null;
  /** Two of each, as long as the input. */
  keysOut: readonly [P, P];
  valuesOut: readonly [P, P];
  /** {@link sortScratchBytes}. */
  scratch: P;
  totals: P;
}

/** Bytes of `scratch` for up to `n` pairs. */
export function sortScratchBytes({ bits }: SortKernels, n: number): number {
  return 4 * 2 ** bits * Math.max(1, Math.ceil(n / TILE));
}

/** Bytes of `totals`. */
export function sortTotalsBytes({ bits }: SortKernels): number {
  return 4 * 2 ** bits;
}

/**
 * The launches of a sort.
 * @param n pairs, above 0
 * @returns also where the sorted pairs are
 */
export function sortCalls<P>(
  kernels: SortKernels,
  n: number,
  places: SortPlaces<P>,
): { calls: KernelCall<P>[]; keys: P; values: P } {
  const { passes, bits, count, scan, scatter, scatterPlaces } = kernels;
  const { scratch, totals } = places;
  const tiles = Math.ceil(n / TILE);
  const bytes = 4 * n;
  const scratchBytes = 4 * 2 ** bits * tiles;
  const totalsBytes = sortTotalsBytes(kernels);
  const block = [CALL_THREADS, 1, 1] as const;
  const calls: KernelCall<P>[] = [];
  let { keys } = places;
  let values = places.values;
  for (let pass = 0; pass < passes; pass++) {
    const shift = argument.int32(pass * bits);
    const [keysOut, valuesOut] = [places.keysOut[pass % 2]!, places.valuesOut[pass % 2]!];
    const label = `sort ${n} pairs, digit ${pass + 1} of ${passes}`;
    calls.push(
      {
        label,
        source: count,
        grid: [tiles, 1, 1],
        block,
        arguments: [
          argument.read(keys, bytes),
          argument.write(scratch, scratchBytes),
          argument.int32(n),
          shift,
        ],
      },
      {
        label,
        source: scan,
        grid: [2 ** bits, 1, 1],
        block,
        arguments: [
          argument.update(scratch, scratchBytes),
          argument.write(totals, totalsBytes),
          argument.int32(tiles),
        ],
      },
      {
        label,
        source: values === null ? scatterPlaces : scatter,
        grid: [tiles, 1, 1],
        block,
        arguments: [
          argument.read(keys, bytes),
          argument.read(values ?? keys, bytes),
          argument.write(keysOut, bytes),
          argument.write(valuesOut, bytes),
          argument.read(scratch, scratchBytes),
          argument.read(totals, totalsBytes),
          argument.int32(n),
          shift,
        ],
      },
    );
    keys = keysOut;
    values = valuesOut;
  }
  return { calls, keys, values: values! };
}
