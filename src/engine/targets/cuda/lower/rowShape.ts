/** @file How a row kernel spreads a row over threads; the kernels are specialised by what is decided here. */

/** Threads of a block that holds several rows. */
const BLOCK = 256;

/** The smallest power of two that is not below n. */
function powerOfTwo(n: number): number {
  let power = 1;
  while (power < n) power *= 2;
  return power;
}

/** Macros of the row kernels, see `kernels/softmax.cu`. */
export interface RowShape {
  /** Threads a row: lanes of one warp, or a whole block. */
  readonly THREADS: number;
  /** Rows a block. */
  readonly ROWS: number;
  /** Whether a row stays in registers between passes. */
  readonly HELD: "true" | "false";
}

/**
 * Spreads rows over threads. Rows that a warp can hold stay within one, which needs no barriers.
 * @param width elements of a row
 * @param vector elements of one access
 * @param held elements of a row that a thread may hold in registers, a power of two
 */
export function rowShape(width: number, vector: number, held: number): RowShape {
  const threads =
    width <= 32 * held
      ? Math.min(32, powerOfTwo(width / vector))
      : Math.min(1024, powerOfTwo(width / (held / 2)));
  return {
    THREADS: threads,
    ROWS: threads > 32 ? 1 : BLOCK / threads,
    HELD: width <= threads * held ? "true" : "false",
  };
}
