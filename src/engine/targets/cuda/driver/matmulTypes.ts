/**
 * @file How a row-major matmul is put to cuBLAS, which is column-major.
 *
 * A row-major [R, C] matrix is the column-major [C, R] one in the same memory. So out = op(a)·op(b) in row-major is
 * outᵀ = op(b)ᵀ·op(a)ᵀ in column-major: b comes first, a second, and nothing is moved.
 */
import type { Precision } from "../../../program.ts";
import type { MatmulDType } from "../plan.ts";

/** `cudaDataType` of library_types.h. */
export const dataTypes: Readonly<Record<MatmulDType, number>> = { float32: 0, float16: 2, bfloat16: 14 };

/** Bytes of an element. */
export const elementBytes: Readonly<Record<MatmulDType, number>> = { float32: 4, float16: 2, bfloat16: 2 };

/** `cublasComputeType_t` of cublas_api.h; sums are float32 in both. */
export const computeTypes: Readonly<Record<Precision, number>> = { float32: 68, tf32: 77 };

/** `cublasOperation_t`. */
const operations = { asStored: 0, transposed: 1 } as const;

/** A column-major matrix in memory. */
export interface StoredMatrix {
  readonly rows: number;
  readonly columns: number;
  /** Elements from a column to the next; packed, so the same as rows. */
  readonly leading: number;
  readonly operation: number;
}

/** Sizes and storage of a row-major matmul. */
export interface ProductShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

/** The operands as cuBLAS takes them: `first` is b, `second` is a; the result has `n` rows and `m` columns. */
export function columnMajorOperands({ m, n, k, transposeA, transposeB }: ProductShape): {
  first: StoredMatrix;
  second: StoredMatrix;
} {
  const stored = (rows: number, columns: number, transposed: boolean): StoredMatrix => ({
    rows: transposed ? columns : rows,
    columns: transposed ? rows : columns,
    leading: transposed ? columns : rows,
    operation: transposed ? operations.transposed : operations.asStored,
  });
  return { first: stored(n, k, transposeB), second: stored(k, m, transposeA) };
}
