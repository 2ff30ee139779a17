/** @file Synthetic click logs: what is drawn, what is written, and that the planted truth is the truth. */
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BayesMeter } from "../../../../../src/recsys/data/synth/bayes.ts";
import { synthClicks } from "../../../../../src/recsys/data/synth/clicks.ts";
import { BLOCK_ROWS, ClickGenerator } from "../../../../../src/recsys/data/synth/generator.ts";
import { synthPresets } from "../../../../../src/recsys/data/synth/presets.ts";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-synth-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

const generator = (changes: Partial<ConstructorParameters<typeof ClickGenerator>[0]> = {}): ClickGenerator =>
  new ClickGenerator({
    preset: synthPresets.small,
    rows: 40_000,
    seed: 5,
    skew: 1.05,
    clickRate: 0.28,
    drift: 0,
    ...changes,
  });

/** A fingerprint of the rows of a log made with a seed. */
const digest = async (name: string, seed: number): Promise<unknown> => {
  const file = join(folder, name);
  await synthClicks({ file, rows: 5000, preset: "avazu", seed, threads: 1 });
  const [row] = await query(`SELECT bit_xor(hash(t))::VARCHAR AS digest FROM '${file}' t`);
  return row!["digest"];
};

/** The most frequent value of a column over some blocks. */
function favourite(source: ClickGenerator, column: number, from: number, to: number): number {
  const counts = new Map<number, number>();
  for (let index = from; index < to; index++) {
    const block = source.draw(index);
    for (const value of block.values[column]!) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].reduce((best, entry) => (entry[1] > best[1] ? entry : best))[0];
}

const total = (sizes: readonly number[]): number => sizes.reduce((sum, size) => sum + size, 0);

describe("presets", () => {
  it("have the published table sizes", () => {
    expect(total(synthPresets.kaggle.cardinalities)).toBe(33_762_577);
    expect(total(synthPresets.avazu.cardinalities)).toBe(9_449_226);
    expect(total(synthPresets.small.cardinalities)).toBeGreaterThan(280_000);
    expect(total(synthPresets.small.cardinalities)).toBeLessThan(320_000);
    for (const preset of Object.values(synthPresets)) {
      expect(preset.cardinalities.length).toBe(preset.categorical.length);
    }
  });
});

describe("ClickGenerator", () => {
  it("draws a block from its seed and number alone, in any order", () => {
    const forwards = generator();
    const snapshots = [0, 1, 2].map((index) => structuredClone(forwards.draw(index)));
    const backwards = generator();
    for (const index of [2, 0, 1]) expect(backwards.draw(index)).toEqual(snapshots[index]);
    expect(generator({ seed: 6 }).draw(0)).not.toEqual(snapshots[0]);
  });

  it("keeps each column within its number of distinct values", () => {
    const source = generator({ preset: synthPresets.avazu });
    const sizes = synthPresets.avazu.cardinalities;
    const distinct = sizes.map(() => new Set<number>());
    for (let index = 0; index < source.blocks; index++) {
      const block = source.draw(index);
      block.values.forEach((column, t) => column.subarray(0, block.size).forEach((v) => distinct[t]!.add(v)));
    }
    distinct.forEach((values, t) => {
      values.delete(0);
      expect(values.size).toBeLessThanOrEqual(sizes[t]!);
    });
    expect(distinct[0]!.size).toBe(8);
  });

  it("draws labels at the rate that the true probability says, in every range of it", () => {
    const source = generator({ rows: 120_000 });
    const clicks = new Float64Array(10);
    const expected = new Float64Array(10);
    const variance = new Float64Array(10);
    for (let index = 0; index < source.blocks; index++) {
      const { logits, labels, size } = source.draw(index);
      for (let i = 0; i < size; i++) {
        const p = 1 / (1 + Math.exp(-logits[i]!));
        const bin = Math.min(9, Math.floor(p * 10));
        clicks[bin]! += labels[i]!;
        expected[bin]! += p;
        variance[bin]! += p * (1 - p);
      }
    }
    for (let bin = 0; bin < 10; bin++) {
      expect(Math.abs(clicks[bin]! - expected[bin]!)).toBeLessThan(4.5 * Math.sqrt(variance[bin]!) + 1);
    }
  });

  it("moves popularity to other values when asked to drift, and only then", () => {
    const largest = 2;
    const still = generator({ rows: 10 * BLOCK_ROWS });
    expect(favourite(still, largest, 0, 5)).toBe(favourite(still, largest, 5, 10));
    const drifting = generator({ rows: 10 * BLOCK_ROWS, drift: 1 });
    expect(favourite(drifting, largest, 0, 5)).not.toBe(favourite(drifting, largest, 5, 10));
  });
});

describe("BayesMeter", () => {
  it("agrees with a comparison of all pairs", () => {
    const row = fc.tuple(fc.integer({ min: -30, max: 30 }), fc.integer({ min: 0, max: 1 }));
    fc.assert(
      fc.property(fc.array(row, { minLength: 2, maxLength: 40 }), (rows) => {
        const meter = new BayesMeter();
        const logits = Float64Array.from(rows, ([x]) => x / 8);
        meter.add(
          logits,
          Uint8Array.from(rows, ([, y]) => y),
          0,
          rows.length,
        );
        let wins = 0;
        let pairs = 0;
        for (const [a, ya] of rows) {
          for (const [b, yb] of rows) {
            if (ya !== 1 || yb !== 0) continue;
            pairs++;
            wins += a > b ? 1 : a === b ? 0.5 : 0;
          }
        }
        const { auc } = meter.quality();
        if (pairs === 0) expect(auc).toBeNaN();
        else expect(auc).toBeCloseTo(wins / pairs, 10);
      }),
    );
  });
});

describe("synthClicks", () => {
  it("writes a log whose columns, order and metadata are as stated", async () => {
    const file = join(folder, "small.parquet");
    const seen: number[] = [];
    const made = await synthClicks({
      file,
      rows: 70_000,
      preset: "small",
      seed: 2,
      threads: 1,
      onProgress: (done) => seen.push(done),
    });
    expect(seen.at(-1)).toBe(70_000);
    expect(Math.abs(made.ctr - 0.28)).toBeLessThan(0.01);
    expect(made.bayes.auc).toBeGreaterThan(0.8);
    expect(made.bayes.auc).toBeLessThan(0.84);
    expect(made.bayesLastFifth.auc).not.toBe(made.bayes.auc);
    expect(Math.abs(made.bayesLastFifth.logLoss - made.bayes.logLoss)).toBeLessThan(0.02);

    const columns = await query(`DESCRIBE SELECT * FROM '${file}'`);
    expect(columns.map((column) => column["column_name"])).toEqual([
      "label",
      "time",
      ...Array.from({ length: 13 }, (_, i) => `I${i + 1}`),
      ...Array.from({ length: 26 }, (_, i) => `C${i + 1}`),
    ]);
    expect(columns[1]!["column_type"]).toBe("TIMESTAMP");
    const [facts] = await query(
      `SELECT count(*)::INT AS n, avg(label) AS ctr, min(least(${Array.from({ length: 13 }, (_, i) => `I${i + 1}`).join()})) AS low,
        count(C3)::INT AS c3, bool_and(regexp_full_match(C3, '[0-9a-f]{8}')) AS hex, (count(*) - count(I1) + count(*) - count(I10))::INT AS holes,
        (SELECT count(*)::INT FROM (SELECT time, lag(time) OVER () AS before FROM '${file}') WHERE time <= before) AS disorder
       FROM '${file}'`,
    );
    expect(facts).toMatchObject({ n: 70_000, low: 0, hex: true, disorder: 0 });
    expect(facts!["ctr"]).toBeCloseTo(made.ctr, 12);
    expect(Number(facts!["holes"])).toBeGreaterThan(0);
    const metadata = await query(
      `SELECT decode(key) AS key, decode(value) AS value FROM parquet_kv_metadata('${file}')`,
    );
    const entries = Object.fromEntries(metadata.map((row) => [String(row["key"]), String(row["value"])]));
    expect(Number(entries["pareto.bayes_auc"])).toBe(made.bayes.auc);
    expect(Number(entries["pareto.bayes_log_loss_last_fifth"])).toBe(made.bayesLastFifth.logLoss);
    expect(await readdir(folder)).toEqual(["small.parquet"]);
  });

  it("gives the same rows for the same seed", async () => {
    const first = await digest("a.parquet", 9);
    expect(await digest("b.parquet", 9)).toBe(first);
    expect(await digest("c.parquet", 10)).not.toBe(first);
  });

  it("refuses to replace a file, and leaves it as it was", async () => {
    const file = join(folder, "taken.parquet");
    await writeFile(file, "precious");
    await expect(synthClicks({ file, rows: 10, preset: "small" })).rejects.toMatchObject({
      code: "SYNTH_FILE_EXISTS",
    });
    const made = await synthClicks({ file, rows: 10, preset: "small", overwrite: true, threads: 1 });
    expect(made.rows).toBe(10);
  });

  it.each([
    { rows: 0 },
    { rows: 1.5 },
    { skew: -1 },
    { clickRate: 1 },
    { seed: -1 },
    { preset: "huge" as "small" },
  ])("names the option that is out of range: %o", async (changes) => {
    const options = { file: join(folder, "never.parquet"), rows: 10, preset: "small" as const, ...changes };
    await expect(synthClicks(options)).rejects.toMatchObject({ code: "SYNTH_OPTION" });
    expect(await readdir(folder)).not.toContain("never.parquet");
  });

  it("says what to check when the folder cannot be written to", async () => {
    await writeFile(join(folder, "plain"), "");
    await expect(
      synthClicks({ file: join(folder, "plain", "log.parquet"), rows: 10, preset: "small" }),
    ).rejects.toMatchObject({ code: "SYNTH_WRITE" });
  });
});
