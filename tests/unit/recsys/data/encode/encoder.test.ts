/** @file An encoder's file that cannot be used is named. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Encoder } from "../../../../../src/recsys/data/encode/encoder.ts";

test("an encoder without columns is refused", async () => {
  const folder = await mkdtemp(join(tmpdir(), "pareto-encoder-"));
  try {
    const column = { name: "price", transform: "standard", mean: 0, deviation: 1 };
    const file = {
      version: 2,
      label: "y",
      dense: [column],
      categorical: [],
      numberForms: {},
      sourceColumns: 2,
    };
    await writeFile(join(folder, "encoder.json"), JSON.stringify(file));
    expect((await Encoder.load(folder)).schema.dense).toHaveLength(1);
    await writeFile(join(folder, "encoder.json"), JSON.stringify({ ...file, dense: [] }));
    await expect(Encoder.load(folder)).rejects.toMatchObject({ code: "DATA_ENCODER_DAMAGED" });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
