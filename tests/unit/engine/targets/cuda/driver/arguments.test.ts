/** @file The layout of what is passed to kernels and to cuBLAS. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packArguments } from "../../../../../../src/engine/targets/cuda/driver/module.ts";
import {
  columnMajorOperands,
  type StoredMatrix,
} from "../../../../../../src/engine/targets/cuda/driver/matmulTypes.ts";

describe("packed arguments", () => {
  test("lie as in a C struct, each aligned to its own size", () => {
    const packed = packArguments([
      { kind: "int32", value: -2 },
      { kind: "pointer", value: 0x7f12_3456_7800 },
      { kind: "float32", value: 0.5 },
      { kind: "int32", value: 3 },
      { kind: "int32", value: 4 },
      { kind: "int64", value: -(2 ** 40) },
    ]);
    const view = new DataView(packed.buffer);
    expect(packed.length).toBe(40);
    expect(view.getInt32(0, true)).toBe(-2);
    expect(view.getBigUint64(8, true)).toBe(0x7f12_3456_7800n);
    expect(view.getFloat32(16, true)).toBe(0.5);
    expect(view.getInt32(20, true)).toBe(3);
    expect(view.getInt32(24, true)).toBe(4);
    expect(view.getBigInt64(32, true)).toBe(-(2n ** 40n));
  });

  test("of a kernel without parameters take no bytes", () => {
    expect(packArguments([])).toHaveLength(0);
  });
});

/** Element (row, column) of a column-major matrix after its operation. */
function element(values: readonly number[], matrix: StoredMatrix, row: number, column: number): number {
  const [r, c] = matrix.operation === 0 ? [row, column] : [column, row];
  expect(r).toBeLessThan(matrix.rows);
  expect(c).toBeLessThan(matrix.columns);
  return values[c * matrix.leading + r]!;
}

describe("column-major operands", () => {
  test("give the row-major product, however a and b are stored", () => {
    const size = fc.integer({ min: 1, max: 5 });
    fc.assert(
      fc.property(size, size, size, fc.boolean(), fc.boolean(), (m, n, k, transposeA, transposeB) => {
        const a = Array.from({ length: m * k }, (_, i) => i + 1);
        const b = Array.from({ length: k * n }, (_, i) => 2 * i - 3);
        const { first, second } = columnMajorOperands({ m, n, k, transposeA, transposeB });
        for (let i = 0; i < m; i++) {
          for (let j = 0; j < n; j++) {
            let rowMajor = 0;
            let columnMajor = 0;
            for (let l = 0; l < k; l++) {
              rowMajor += a[transposeA ? l * m + i : i * k + l]! * b[transposeB ? j * k + l : l * n + j]!;
              columnMajor += element(b, first, j, l) * element(a, second, l, i);
            }
            expect(columnMajor).toBe(rowMajor);
          }
        }
      }),
    );
  });
});
