/** @file Batches of like length, windows of long sequences, attention on residues. */
import { describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { AttentionTrack } from "../../../../src/protein/classify/attentionTrack.ts";
import { windowCount, windowsOf } from "../../../../src/protein/classify/windows.ts";
import {
  batchCount,
  bucketLengths,
  bucketedBatches,
  DECOY,
} from "../../../../src/protein/network/bucketedBatches.ts";
import { partRows } from "../../../../src/protein/network/replicas.ts";
import { batchSizeFor } from "../../../../src/protein/training/settings.ts";
import { randomResidues, sequenceSet } from "../../../support/protein/sequences.ts";

describe("buckets", () => {
  const rng = new Rng(2);
  const sequences = Array.from({ length: 500 }, (_, i) => ({
    residues: randomResidues(rng, 1 + rng.integer(150)),
    label: i % 5,
  }));
  const set = sequenceSet(sequences);
  const rows = Uint32Array.from({ length: 400 }, (_, i) => i + 50);
  const lengths = bucketLengths(128);
  const collect = (epoch: number) => [
    ...bucketedBatches(set, rows, { batchSize: 32, lengths, shuffle: { seed: 4, epoch } }),
  ];

  test("every row comes once, whole or cut, with its label", () => {
    const batches = collect(0);
    expect(batches).toHaveLength(batchCount(rows.length, 32));
    expect(batches.flatMap((batch) => [...batch.rows]).sort((a, b) => a - b)).toEqual([...rows]);
    for (const batch of batches) {
      expect(lengths).toContain(batch.length);
      for (let i = 0; i < 32; i++) {
        const own = batch.ids.subarray(i * batch.length, (i + 1) * batch.length);
        if (i >= batch.size) {
          expect([batch.labels[i], batch.lengths[i], Math.max(...own)]).toEqual([-1, 1, 0]);
          continue;
        }
        const row = batch.rows[i]!;
        const ids = set.ids.subarray(
          set.offsets[row]!,
          Math.min(set.offsets[row + 1]!, set.offsets[row]! + 128),
        );
        expect(batch.lengths[i]).toBe(ids.length);
        expect([...own.subarray(0, ids.length)]).toEqual([...ids]);
        expect(own.subarray(ids.length).every((id) => id === 0)).toBe(true);
        expect(batch.labels[i]).toBe(set.labels[row]);
      }
    }
  });

  test("full batches hold like lengths; the order follows seed and epoch", () => {
    const order = (epoch: number) => collect(epoch).map((batch) => [...batch.rows]);
    expect(order(1)).toEqual(order(1));
    expect(order(1)).not.toEqual(order(2));
    for (const batch of collect(3).slice(0, 5)) {
      const shorter = lengths[lengths.indexOf(batch.length) - 1] ?? 0;
      expect(Math.min(...batch.lengths)).toBeGreaterThan(shorter);
    }
  });

  test("decoys have the residues of the batch's first sequences in another order, and no family", () => {
    const batches = [
      ...bucketedBatches(set, rows, { batchSize: 32, lengths, decoys: 4, shuffle: { seed: 4, epoch: 0 } }),
    ];
    expect(batches).toHaveLength(batchCount(rows.length, 32, 4));
    expect(batches.flatMap((batch) => [...batch.rows]).sort((a, b) => a - b)).toEqual([...rows]);
    for (const { size, ids, length, lengths: residues, labels } of batches.slice(0, 3)) {
      expect([...labels.subarray(size - 1)].map((label) => label < 0)).toEqual([
        false,
        true,
        true,
        true,
        true,
      ]);
      expect(size).toBe(28);
      for (let i = 0; i < 4; i++) {
        const at = (row: number) => [...ids.subarray(row * length, row * length + residues[row]!)];
        expect(labels[size + i]).toBe(DECOY);
        expect(at(size + i).sort()).toEqual(at(i).sort());
        if (i % 2 === 1) expect(at(size + i)).toEqual(at(i).toReversed());
      }
    }
  });

  test("flanks leave each sequence whole within its row, as many residues again around it at most", () => {
    const options = { batchSize: 32, lengths, flanks: 0.5, shuffle: { seed: 4, epoch: 0 } };
    const batches = [...bucketedBatches(set, rows, options)];
    expect(batches.flatMap((batch) => [...batch.rows]).sort((a, b) => a - b)).toEqual([...rows]);
    expect([...bucketedBatches(set, rows, options)]).toEqual(batches);
    let widened = 0;
    for (const { size, ids, length, lengths: residues, rows: own } of batches) {
      for (let i = 0; i < size; i++) {
        const [start, end] = [set.offsets[own[i]!]!, set.offsets[own[i]! + 1]!];
        const kept = set.ids.subarray(start, Math.min(end, start + 128));
        const found = ids.subarray(i * length, (i + 1) * length);
        expect(Buffer.from(found).includes(Buffer.from(kept))).toBe(true);
        expect(found.subarray(residues[i]).every((id) => id === 0)).toBe(true);
        expect(found.subarray(0, residues[i]).every((id) => id > 0)).toBe(true);
        expect(residues[i]).toBeLessThanOrEqual(Math.min(length, 2 * kept.length));
        if (residues[i]! > kept.length) widened++;
      }
    }
    expect(widened).toBeGreaterThan(0.3 * rows.length);
    expect(widened).toBeLessThan(0.6 * rows.length);
  });

  test.each([
    [256, [64, 128, 192, 256]],
    [100, [52, 76, 100]],
    [40, [32, 40]],
    [4, [4]],
  ])("lengths up to %i are padded to %j", (length, expected) => {
    const found = bucketLengths(length);
    expect(found.at(-1)).toBe(length);
    expect(found).toEqual(expected);
  });

  test.each([
    [128, 32],
    [100, 25],
    [33, 17],
    [32, 32],
    [1, 1],
  ])("a batch of %i is shared in parts of %i", (batch, rows) =>
    expect(partRows(batch, "training")).toBe(rows),
  );
});

test.each([1, 64, 65, 96, 97, 128, 129, 1000])("windows of 64 cover %i residues", (residues) => {
  const windows = [...windowsOf(residues, 64)];
  expect(windowCount(residues, 64)).toBe(windows.length);
  expect(windows[0]!.start).toBe(0);
  expect(windows.at(-1)!.end).toBe(residues);
  windows.forEach(({ start, end }, k) => {
    expect(start).toBe(32 * k);
    expect(end - start).toBeGreaterThan(0);
    expect(end - start).toBeLessThanOrEqual(64);
    if (k < windows.length - 1) expect(end - start).toBe(64);
  });
});

test("attention of steps falls on their residues, averaged where windows overlap", () => {
  const track = new AttentionTrack(10, 4);
  track.add({ start: 0, end: 10 }, Float32Array.of(0.25, 0.5, 0.25));
  // The last step covers two residues, which share its quarter.
  expect(track.spans()).toEqual([{ start: 5, end: 10, weight: expect.closeTo(0.75, 6) }]);
  const overlapping = new AttentionTrack(12, 4);
  overlapping.add({ start: 0, end: 8 }, Float32Array.of(1, 0));
  overlapping.add({ start: 4, end: 12 }, Float32Array.of(1, 0));
  expect(overlapping.spans()).toEqual([{ start: 1, end: 4, weight: expect.closeTo(2 / 3, 6) }]);
});

test("batches are smaller for small sets only", () => {
  // HF73 has 57,178 training sequences at most 1,000 of a family, and 274,863 in all.
  expect([274_863, 57_178, 8192, 8191, 4096, 4095, 2048, 2047, 1].map(batchSizeFor)).toEqual([
    128, 128, 128, 64, 64, 32, 32, 16, 16,
  ]);
});
