/** @file Windows in batches, with a network that answers with what it was fed. */
import { expect, test } from "vitest";
import { WindowBatches, type WindowOwner } from "../../../../src/protein/classify/windowBatches.ts";
import { windowsOf } from "../../../../src/protein/classify/windows.ts";
import type { Predicted, ProteinNetwork } from "../../../../src/protein/network/proteinNetwork.ts";

const ROWS = 4;
const LENGTH = 128;

/** Its probabilities are a row's length and the sum of its ids; it answers late and in any order. */
function echo(parallelism: number) {
  const batches: { length: number; rows: number }[] = [];
  const network = {
    partRows: ROWS,
    parallelism,
    model: { classes: 2 },
    hostBuffer: (sizeBytes: number) => new ArrayBuffer(sizeBytes),
    predict: async (
      { length, ids, lengths }: { length: number; ids: Int32Array; lengths: Int32Array },
      _: boolean,
      into: Float32Array,
    ): Promise<Predicted> => {
      expect(ids).toHaveLength(ROWS * length);
      batches.push({ length, rows: lengths.filter((n) => n > 1).length });
      await new Promise((resolve) => setTimeout(resolve, batches.length % 3));
      for (let row = 0; row < ROWS; row++) {
        const own = ids.subarray(row * length, (row + 1) * length);
        into.set([lengths[row]!, own.reduce((a, b) => a + b, 0)], 2 * row);
      }
      return { probabilities: into };
    },
  };
  return { network: network as unknown as ProteinNetwork, batches };
}

/** A sequence whose every residue has an id of its own length. */
const sequence = (length: number) => new Uint8Array(length).fill(2 + (length % 19));

class Owner implements WindowOwner {
  found: { start: number; end: number; length: number; sum: number }[] = [];
  take(window: { start: number; end: number }, { probabilities }: Predicted, row: number): void {
    this.found.push({ ...window, length: probabilities[2 * row]!, sum: probabilities[2 * row + 1]! });
  }
}

test.each([1, 3])("each window comes back once to its owner, with %i devices", async (parallelism) => {
  const { network, batches } = echo(parallelism);
  const windows = new WindowBatches(network, LENGTH, false);
  const lengths = Array.from({ length: 150 }, (_, i) => 2 + ((i * 37) % 400));
  for (const _ of [1, 2]) {
    const owners = lengths.map(() => new Owner());
    for (const [i, length] of lengths.entries()) {
      for (const window of windowsOf(length, LENGTH)) await windows.add(sequence(length), window, owners[i]!);
    }
    await windows.flush();
    for (const [i, { found }] of owners.entries()) {
      const length = lengths[i]!;
      found.sort((a, b) => a.start - b.start);
      expect(found).toEqual(
        [...windowsOf(length, LENGTH)].map(({ start, end }) => ({
          start,
          end,
          length: end - start,
          sum: (end - start) * (2 + (length % 19)),
        })),
      );
    }
  }
  // Only what is left at the end goes along with longer windows, and in one batch.
  expect(batches.filter(({ rows }) => rows < ROWS).length).toBeLessThanOrEqual(2);
});

test("a window waits for 512 others at most, whatever their lengths", async () => {
  const { network, batches } = echo(2);
  const windows = new WindowBatches(network, LENGTH, false);
  const lonely = new Owner();
  await windows.add(sequence(10), { start: 0, end: 10 }, lonely);
  for (let i = 0; i < 600; i++) await windows.add(sequence(128), { start: 0, end: 128 }, new Owner());
  expect(lonely.found).toHaveLength(1);
  expect(batches.filter(({ rows }) => rows < ROWS)).toEqual([{ length: 32, rows: 1 }]);
});

test("a failure of the device comes out", async () => {
  const { network } = echo(1);
  network.predict = async () => {
    throw new Error("lost");
  };
  const windows = new WindowBatches(network, LENGTH, false);
  const all = async () => {
    for (let i = 0; i < 40; i++) await windows.add(sequence(50), { start: 0, end: 50 }, new Owner());
    await windows.flush();
  };
  await expect(all()).rejects.toThrow("lost");
});
