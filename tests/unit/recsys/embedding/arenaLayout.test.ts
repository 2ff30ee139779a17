import * as fc from "fast-check";
import { expect, test } from "vitest";
import { partBytes, planArenaLayout } from "../../../../src/recsys/embedding/arenaLayout.ts";
import { rowFormat } from "../../../../src/recsys/embedding/rowFormat.ts";

const KAGGLE = [
  1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10,
  5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
];
const GIB = 2 ** 30;

test("Criteo Kaggle with SGD fits one memory, with Adagrad two, with Adam two, tables whole", () => {
  for (const [kind, memories] of [
    ["sgd", 1],
    ["rwsadagrad", 1],
    ["adagrad", 2],
    ["adam", 2],
  ] as const) {
    const optimizer = { kind, epsilon: 1e-10, beta1: 0.9, beta2: 0.999 };
    const { tables, arenaBytes } = planArenaLayout(
      KAGGLE,
      rowFormat(16, optimizer),
      2 ** 24,
      4 * GIB - 65_536,
    );
    expect(arenaBytes).toHaveLength(memories);
    expect(tables.every((parts) => parts.length === 1)).toBe(true);
  }
});

test("a table larger than a memory is cut by rows", () => {
  const { tables, arenaBytes } = planArenaLayout(
    [10, 40_000_000],
    rowFormat(128, { kind: "sgd" }),
    0,
    4 * GIB,
  );
  expect(tables[0]).toEqual([{ firstRow: 0, rows: 10, arena: 0 }]);
  expect(tables[1]).toHaveLength(5);
  expect(Math.max(...arenaBytes)).toBeLessThanOrEqual(4 * GIB);
});

test("every row has one place, memories hold what they were sized for, none exceeds its capacity", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 500 }), { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 2000, max: 40_000 }),
      (cardinalities, dim, capacity) => {
        const format = rowFormat(dim, { kind: "adagrad", epsilon: 1e-10 });
        const { tables, arenaBytes } = planArenaLayout(cardinalities, format, 640, capacity);
        const used = arenaBytes.map((_, i) => (i === 0 ? 640 : 0));
        for (const [t, parts] of tables.entries()) {
          let next = 0;
          for (const part of parts) {
            expect(part.firstRow).toBe(next);
            next += part.rows;
            used[part.arena]! += partBytes(part.rows, format);
          }
          expect(next).toBe(cardinalities[t]);
        }
        expect(used).toEqual(arenaBytes);
        for (const bytes of arenaBytes) expect(bytes).toBeLessThanOrEqual(capacity);
      },
    ),
  );
});
