/**
 * @file The hot set: which embedding rows live in fast memory, and the hot index of each.
 *
 * Hot index k is global row `rows[k]`; rows stand in order of falling sampled count, so the most used lie
 * together. `hotIndexOf` is one int32 a row (135 MB for Criteo Kaggle) on shared memory, for classifier threads.
 */
import { ParetoError, invariant } from "../../../base/errors.ts";
import type { RowSpace } from "./rowSpace.ts";
import { tableOf } from "./rowSpace.ts";

/** The memory a hot set may take. */
export interface HotBudget {
  /** Device memory for hot rows and their optimizer state (L). */
  budgetBytes: number;
  /** Bytes of a row with its optimizer state. */
  rowBytes: number;
}

/** Most hot rows that a budget holds: `floor(L / rowBytes)`. */
export function hotCapacity(budget: HotBudget): number {
  if (!(budget.budgetBytes >= 0)) {
    throw new ParetoError({
      code: "FAE_BUDGET",
      where: "hot budget",
      message: `the memory for hot rows must be a number of bytes ≥ 0, got ${budget.budgetBytes}`,
      fix: "Give a size such as 256MiB.",
    });
  }
  return Math.floor(budget.budgetBytes / budget.rowBytes);
}

/** Rows chosen to live in fast memory. */
export class HotSet {
  readonly space: RowSpace;
  /** Global row of each hot index, `[K]`. */
  readonly rows: Uint32Array;
  /** Hot index of each global row or −1, `[R]`, on a SharedArrayBuffer. */
  readonly hotIndexOf: Int32Array;
  readonly rowBytes: number;
  readonly budgetBytes: number;
  /** Access threshold that chose the rows; null under other policies. */
  readonly threshold: number | null;

  constructor(space: RowSpace, rows: Uint32Array, budget: HotBudget, threshold: number | null) {
    invariant(
      rows.length * budget.rowBytes <= budget.budgetBytes,
      `hot rows take ${rows.length * budget.rowBytes} bytes of a budget of ${budget.budgetBytes}`,
    );
    this.space = space;
    this.rows = rows;
    this.rowBytes = budget.rowBytes;
    this.budgetBytes = budget.budgetBytes;
    this.threshold = threshold;
    this.hotIndexOf = new Int32Array(new SharedArrayBuffer(4 * space.rows)).fill(-1);
    for (let hotIndex = 0; hotIndex < rows.length; hotIndex++) {
      const row = rows[hotIndex]!;
      invariant(this.hotIndexOf[row] === -1, `row ${row} is in the hot set twice or outside the tables`);
      this.hotIndexOf[row] = hotIndex;
    }
  }

  /** Hot rows (K). */
  get size(): number {
    return this.rows.length;
  }

  /** Bytes of the hot rows with their optimizer state; at most `budgetBytes` (invariant I5). */
  get bytes(): number {
    return this.rows.length * this.rowBytes;
  }

  /** Hot rows of each table, `[T]`. */
  rowsByTable(): Float64Array {
    const byTable = new Float64Array(this.space.tables);
    for (const row of this.rows) byTable[tableOf(this.space, row)]!++;
    return byTable;
  }
}
