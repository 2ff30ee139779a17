/**
 * @file What an area of the benchmarks is: `bench/AREA.bench.ts` exports one as its default, and `bench/main.ts` finds
 * it by that name, lists it and runs it.
 */
import type { BenchRow } from "./rows.ts";

/** An option of one area, beside those that all areas have. */
export interface AreaOption {
  type: "string" | "boolean";
  /** What it means and what holds without it, for `--help`. */
  meaning: string;
  /** Whether the area cannot be measured without it. */
  isRequired?: boolean;
}

/** What an area receives. */
export interface BenchContext {
  /** Groups to measure, at least one. */
  readonly only: readonly string[];
  /** Sizes that show only that everything runs. */
  readonly small: boolean;
  readonly threads: number;
  /** The area's own options, by name. */
  readonly values: Readonly<Record<string, string | boolean | undefined>>;
  /** Reports what is being done. */
  readonly log: (line: string) => void;
}

/** What an area measured. */
export interface BenchOutcome {
  rows: BenchRow[];
  /** Everything behind the rows, as JSON. */
  results: unknown[];
  /** Lines to print before the table of rows. */
  tables?: string[];
  /** Fields that are added to the JSON document itself. */
  fields?: Record<string, unknown>;
}

/** An area. */
export interface BenchArea {
  /** One line for the list of areas. */
  readonly about: string;
  /** Time and memory that it takes. */
  readonly cost: string;
  /** Names that `--only` takes, in the order of the table; an area without them is measured whole. */
  readonly groups?: readonly string[];
  readonly options?: Readonly<Record<string, AreaOption>>;
  /** Whether it can run only where there is an NVIDIA GPU. */
  readonly needsGpu?: boolean;
  /** Whether `all` runs it. */
  readonly isInAll?: boolean;
  /** Runs each group in a process of its own, so that neither the memory nor the threads of one show in another. */
  readonly isolation?: { readonly timeoutMs?: number };
  run(context: BenchContext): Promise<BenchOutcome>;
}

/** Measures one group. */
export type BenchGroup = (context: BenchContext) => Promise<BenchOutcome>;
