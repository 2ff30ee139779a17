/** @file The networks' sizes, and what padding may not change. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDevice } from "../../../../src/engine/openDevice.ts";
import type { Device } from "../../../../src/engine/program.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { Parameters } from "../../../../src/nn/parameters.ts";
import { PROTEIN_MODELS, proteinModel } from "../../../../src/protein/models/models.ts";
import { summarizeLayers } from "../../../../src/nn/summary.ts";
import { proteinParameters, tracePrediction } from "../../../../src/protein/network/traceProtein.ts";

test("ProFamNet has the parameters of its specification, layer by layer", () => {
  const layers = Object.fromEntries(
    summarizeLayers(proteinParameters(proteinModel("profamnet", 73))).map(({ name, parameters }) => [
      name,
      parameters,
    ]),
  );
  expect(layers).toEqual({
    embedding: 1408,
    "convolution.0": 36_928,
    "convolution.1": 41_088,
    lstm: 263_168,
    attention: 66_048,
    dense: 32_896,
    output: 9417,
  });
  const { size } = proteinParameters(proteinModel("profamnet", 73));
  expect(size).toBe(450_953);
  expect(4 * size).toBe(1_803_812);
});

test.each([
  [89, 453_017],
  [200, 467_336],
  [2, 441_794],
])("at %i families ProFamNet has 441,536 + 129·C parameters", (classes, parameters) => {
  expect(proteinParameters(proteinModel("profamnet", classes)).size).toBe(parameters);
});

test("the rival is ten times ProFamNet, as large as the abstract's within a thousandth", () => {
  const { size } = proteinParameters(proteinModel("larger", 73));
  expect(size).toBe(4_578_453);
  expect(Math.abs(size - 4_578_911) / 4_578_911).toBeLessThan(0.001);
});

describe.each(PROTEIN_MODELS)("%s", (name) => {
  let device: Device;
  beforeAll(async () => {
    device = await openDevice("cpu", { threads: 1 });
  });
  afterAll(() => device.dispose());

  /** Probabilities of sequences padded to a length, in a batch of their own count. */
  async function predict(sequences: readonly number[][], length: number): Promise<Float32Array> {
    const parameters = new Parameters(5);
    const graph = tracePrediction(
      proteinModel(name, 7),
      { batchSize: sequences.length, length },
      parameters,
      true,
    );
    await parameters.create(device);
    const program = await device.compile(graph);
    const ids = new Int32Array(sequences.length * length);
    sequences.forEach((sequence, row) => ids.set(sequence, row * length));
    const lengths = Int32Array.from(sequences, (sequence) => sequence.length);
    const { probabilities } = await program.run({ ids, lengths });
    await program.dispose();
    return probabilities as Float32Array;
  }

  test("100 more symbols of padding change no probability, nor do other rows of the batch", async () => {
    const rng = new Rng(9);
    const sequences = [1, 2, 5, 29, 44].map((length) => Array.from({ length }, () => 1 + rng.integer(21)));
    const short = await predict(sequences, 44);
    const long = await predict(sequences, 144);
    const alone = await predict([sequences[3]!], 32);
    short.forEach((p, i) => expect(Math.abs(p - long[i]!)).toBeLessThan(1e-6));
    alone.forEach((p, c) => expect(Math.abs(p - short[3 * 7 + c]!)).toBeLessThan(1e-6));
    // The sequences are told apart at all.
    expect(new Set(short.map((p) => Math.round(p * 1e5))).size).toBeGreaterThan(7);
  });
});
