/** @file Sums over many indices, which the GPU sorts and adds by segments, against the reference. */
import { describe, expect, test } from "vitest";
import { trace } from "../../../src/engine/graph/graph.ts";
import { scatterAdd } from "../../../src/engine/graph/ops/indexing.ts";
import { openDevice } from "../../../src/engine/openDevice.ts";
import { Rng } from "../../../src/base/rng.ts";
import { tryOpenDevice } from "../../support/engine/devices.ts";

const probe = await tryOpenDevice("cuda");
const missing = "missing" in probe ? probe.missing : null;
if (!("missing" in probe)) await probe.dispose();

async function sums(target: string, width: number, rows: number, indices: Int32Array, updates: Float32Array) {
  const device = await openDevice(target);
  const graph = trace(
    {
      updates: { shape: [indices.length, width], dtype: "float32" },
      indices: { shape: [indices.length], dtype: "int32" },
    },
    (t) => ({ outputs: { sums: scatterAdd(t.updates, t.indices, rows) } }),
  );
  const program = await device.compile(graph);
  const runs = [];
  for (let i = 0; i < 2; i++) runs.push((await program.run({ updates, indices }))["sums"] as Float32Array);
  await device.dispose();
  return runs;
}

describe("scatterAdd of many updates", () => {
  if (missing !== null) {
    test.skip(`skipped: ${missing}`);
    return;
  }
  test.each([
    [1, 70_000, "spread"],
    [257, 1, "one row"],
    [16, 2000, "spread"],
    [16, 2000, "a few rows"],
    [130, 3, "spread"],
    [257, 5000, "spread"],
  ])("adds rows of %i floats into %i rows (%s), the same on every run", async (width, rows, how) => {
    const rng = new Rng(width);
    const n = Math.max(300, Math.ceil(2 ** 24 / (width * rows)) + 1);
    const among = how === "a few rows" ? 7 : rows;
    // No row begins at 0, and some rows get nothing.
    const indices = Int32Array.from({ length: n }, () => rows - 1 - Math.floor(rng.uniform() ** 2 * among));
    const updates = Float32Array.from({ length: n * width }, () => rng.normal());
    const [wanted] = await sums("reference", width, rows, indices, updates);
    const [got, again] = await sums("cuda", width, rows, indices, updates);
    expect(again).toEqual(got);
    let worst = 0;
    for (const [i, x] of got!.entries()) {
      worst = Math.max(worst, Math.abs(x - wanted![i]!) / (1 + Math.abs(wanted![i]!)));
    }
    expect(worst).toBeLessThan(1e-4);
  });
});
