/** @file Training on made-up families: what it learns, that it repeats and resumes bit for bit, what is saved. */
import { createHash } from "node:crypto";
import { copyFile, cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { measureUnknown } from "../../../../bench/protein/unknown.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { evaluateProteinModel, type EvaluateProteinOptions } from "../../../../src/protein/evaluateModel.ts";
import { readFamilies } from "../../../../src/protein/families/families.ts";
import { loadProteinNetwork, openProteinModel } from "../../../../src/protein/savedModel.ts";
import { split } from "../../../../src/protein/splits/split.ts";
import { predictRows } from "../../../../src/protein/network/predictRows.ts";
import type { ProteinConfig } from "../../../../src/protein/training/proteinConfig.ts";
import { DEFAULT_SETTINGS, type ProteinSettings } from "../../../../src/protein/training/settings.ts";
import type { TrainProteinResult } from "../../../../src/protein/training/proteinResult.ts";
import { trainProtein } from "../../../../src/protein/training/trainProtein.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { fastaText, madeRecords, writeFamilies } from "../../../support/protein/madeFamilies.ts";

let folder: string;
let result: TrainProteinResult;
const events: RunEvent[] = [];

const config = (settings: Partial<ProteinSettings> = {}, paths = [join(folder, "data")]): ProteinConfig => ({
  data: { paths, familyFrom: "file", minimum: 10, cap: null, split: "random", strict: false, dataSeed: 1 },
  settings: {
    ...DEFAULT_SETTINGS,
    length: 64,
    batchSize: 48,
    learningRate: 5e-3,
    epochs: 3,
    device: "cpu",
    threads: 2,
    precision: "float32",
    ...settings,
  },
});

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-protein-"));
  await writeFamilies(join(folder, "data"), madeRecords(3, 3, 200));
  result = await trainProtein({
    directory: join(folder, "run"),
    config: config(),
    onEvent: (event) => events.push(event),
  });
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const weights = async (run: string) =>
  createHash("sha256")
    .update(await readFile(join(folder, run, "model", "weights.safetensors")))
    .digest("hex");

test("families are told apart after a few epochs", () => {
  expect(result.finished).toBe(true);
  expect(result.test!.accuracy).toBeGreaterThan(0.9);
  expect(result.test!.macroF1).toBeGreaterThan(0.9);
  expect(result.sequences).toEqual({ train: 480, validation: 60, test: 60 });
  expect(result.parameters).toBe(441_536 + 129 * 3);
});

test("events tell of training, validation and test", () => {
  const metrics = events.filter((event) => event.event === "metrics");
  expect(metrics.filter(({ part }) => part === "validation")).toHaveLength(3);
  expect(metrics.at(-1)).toMatchObject({
    part: "test",
    macroF1: result.test!.macroF1,
    accuracy: result.test!.accuracy,
  });
  const train = metrics.filter(({ part }) => part === "train");
  expect(train[0]!.logLoss).toBeGreaterThan(train.at(-1)!.logLoss);
});

test("the same seed gives the same weights on any number of threads, another seed gives others", async () => {
  await trainProtein({ directory: join(folder, "again"), config: config({ threads: 1 }) });
  expect(await weights("again")).toBe(await weights("run"));
  await trainProtein({ directory: join(folder, "other"), config: config({ seed: 2 }) });
  expect(await weights("other")).not.toBe(await weights("run"));
});

test("a run that is stopped between two steps goes on to the same weights", async () => {
  const stop = new AbortController();
  let steps = 0;
  const stopped = await trainProtein({
    directory: join(folder, "stopped"),
    config: config(),
    signal: stop.signal,
    // Of 10 steps an epoch, some way into the second.
    onEvent: (event) => {
      if (event.event === "metrics" && event.part === "train" && ++steps === 14) stop.abort();
    },
  });
  expect(stopped.finished).toBe(false);
  expect(stopped.steps).toBeGreaterThan(10);
  expect(stopped.steps).toBeLessThan(20);
  const resumed = await trainProtein({
    directory: join(folder, "stopped"),
    resume: { settings: { threads: 1 } },
  });
  expect(resumed.finished).toBe(true);
  expect(resumed.steps).toBe(result.steps);
  expect(await weights("stopped")).toBe(await weights("run"));
  expect(resumed.test).toEqual(result.test);
});

test("so does one of small batches, which one device takes whole, of several lengths", async () => {
  const small = config({ batchSize: 24, threads: 1, epochs: 2 });
  await trainProtein({ directory: join(folder, "small"), config: small });
  const stop = new AbortController();
  let steps = 0;
  const stopped = await trainProtein({
    directory: join(folder, "small-stopped"),
    config: small,
    signal: stop.signal,
    // Of 20 steps an epoch, some way into the second.
    onEvent: (event) => {
      if (event.event === "metrics" && event.part === "train" && ++steps === 22) stop.abort();
    },
  });
  expect(stopped.finished).toBe(false);
  await trainProtein({ directory: join(folder, "small-stopped"), resume: {} });
  expect(await weights("small-stopped")).toBe(await weights("small"));
});

test("a run that is not told the size of its batches keeps the one that the set got, with its threshold", async () => {
  const { data, settings } = config({ epochs: 1 });
  const { batchSize: _, ...others } = settings;
  const found = await trainProtein({
    directory: join(folder, "unsaid"),
    config: { data, settings: others },
  });
  // 480 training sequences.
  expect(found.config.settings.batchSize).toBe(16);
  expect(found.steps).toBe(30);
  const record = JSON.parse(await readFile(join(folder, "unsaid", "run.json"), "utf8")) as object;
  expect(record).toMatchObject({ config: { settings: { batchSize: 16 } } });
  const { config: saved } = await openProteinModel(found.model!);
  expect(saved.threshold).toBe(found.threshold);
  expect(saved.trained).toMatchObject({ thresholdShares: found.thresholdShares, batchSize: 16 });
  expect(found.thresholdShares!.passing).toBeGreaterThanOrEqual(0.95);
});

test("a resumed run refuses other settings and other sequences", async () => {
  await cp(join(folder, "run"), join(folder, "kept"), { recursive: true });
  const directory = join(folder, "kept");
  await expect(trainProtein({ directory, resume: { settings: { learningRate: 1 } } })).rejects.toMatchObject({
    code: "RESUME_CONFIG",
  });
  const paths = [join(folder, "moved")];
  await writeFamilies(paths[0]!, madeRecords(4, 3, 200));
  await trainProtein({ directory: join(folder, "moving"), config: config({ epochs: 1 }, paths) });
  await rm(paths[0]!, { recursive: true });
  await writeFamilies(paths[0]!, madeRecords(5, 3, 200));
  await expect(trainProtein({ directory: join(folder, "moving"), resume: {} })).rejects.toMatchObject({
    code: "RESUME_DATA",
  });
});

test("a saved model, loaded again, gives the same probabilities bit for bit", async () => {
  const { set } = await readFamilies([join(folder, "data")], { familyFrom: "file", seed: 1 });
  const rows = split(set, "random", 1).test;
  const predict = async (path: string, threads: number) => {
    const opened = await openProteinModel(path);
    const network = await loadProteinNetwork(opened, { device: "cpu", threads, batchSize: 48 });
    try {
      return await predictRows(network, set, rows, opened.config.length);
    } finally {
      await network.dispose();
    }
  };
  const [first, second] = [await predict(result.model!, 1), await predict(result.run, 2)];
  expect(first).toEqual(second);
  const right = Array.from(rows, (row, i) => {
    const own = first.subarray(3 * i, 3 * i + 3);
    return own.indexOf(Math.max(...own)) === set.labels[row];
  });
  expect(right.filter(Boolean).length / rows.length).toBe(result.test!.accuracy);
});

test("what a model flags is measured on its own test part, and on families that it left out", async () => {
  const source = join(folder, "wider");
  await cp(join(folder, "data"), source, { recursive: true });
  const other = madeRecords(9, 1, 8).map(({ id, residues }) => `>${id}\n${residues}\n`);
  await writeFile(join(source, "small.fa"), other.join(""));
  const found = await measureUnknown(result.model!, [source], 2);
  expect(found.families).toEqual([{ name: "small", sequences: 8, flagged: found.families[0]!.flagged }]);
  expect(found.known).toBe(60);
  expect(found.passing).toBeGreaterThan(0.8);
  expect(found.unknown.map(({ name, sequences }) => [name, sequences])).toEqual([
    ["1 families it was not trained on", 8],
    ["known ones, shuffled", 60],
    ["known ones, reversed", 60],
    ["known ones, random", 60],
  ]);
  // All of them fit in a window; a model that reads fewer residues at a time needs several.
  expect(found.long).toBeNull();
  const short = join(folder, "short");
  await cp(result.model!, short, { recursive: true });
  const text = await readFile(join(short, "config.json"), "utf8");
  await writeFile(join(short, "config.json"), text.replace('"length": 64', '"length": 32'));
  const { long } = await measureUnknown(short, [source], 2);
  expect(long!.sequences).toBeGreaterThan(30);
  expect(long!.accuracy).toBeGreaterThan(0.7);
});

test("a damaged model is refused", async () => {
  const directory = join(folder, "damaged");
  await cp(result.model!, directory, { recursive: true });
  const file = join(directory, "weights.safetensors");
  const bytes = await readFile(file);
  bytes[bytes.length - 5]! ^= 1;
  await writeFile(file, bytes);
  const opened = await openProteinModel(directory);
  const load = () => loadProteinNetwork(opened, { device: "cpu", threads: 1, batchSize: 1 });
  await expect(load()).rejects.toMatchObject({ code: "PROTEIN_MODEL_DAMAGED" });
  await writeFile(file, bytes.subarray(0, 1000));
  await expect(load()).rejects.toMatchObject({ code: "PROTEIN_MODEL_DAMAGED" });
  await writeFile(join(directory, "config.json"), "{");
  await expect(openProteinModel(directory)).rejects.toMatchObject({ code: "PROTEIN_MODEL_DAMAGED" });
  await copyFile(join(result.model!, "config.json"), join(directory, "config.json"));
  const text = await readFile(join(directory, "config.json"), "utf8");
  await writeFile(join(directory, "config.json"), text.replace('"version": 1', '"version": 2'));
  await expect(openProteinModel(directory)).rejects.toMatchObject({ code: "PROTEIN_MODEL_VERSION" });
  await expect(openProteinModel(join(folder, "nowhere"))).rejects.toMatchObject({
    code: "PROTEIN_MODEL_MISSING",
  });
});

test("shuffled labels are not learned", async () => {
  const records = madeRecords(3, 4, 150);
  const order = new Rng(8).shuffle(Uint32Array.from(records, (_, i) => i));
  const shuffled = records.map((record, i) => ({ ...record, family: records[order[i]!]!.family }));
  await writeFamilies(join(folder, "shuffled"), shuffled);
  const null_ = await trainProtein({
    directory: join(folder, "null"),
    config: config({ epochs: 2 }, [join(folder, "shuffled")]),
  });
  // Chance is a quarter.
  expect(null_.test!.accuracy).toBeLessThan(0.5);
});

test("a saved model, evaluated on the sequences of its test part, has the figures of its training", async () => {
  const { set } = await readFamilies([join(folder, "data")], { familyFrom: "file", minimum: 10, seed: 1 });
  const tested = new Set(Array.from(split(set, "random", 1).test, (row) => set.names[row]!));
  const records = madeRecords(3, 3, 200).filter(({ id }) => tested.has(id));
  await writeFamilies(join(folder, "held"), records);
  const opened = await openProteinModel(join(folder, "run"));
  const network = await loadProteinNetwork(opened, { device: "cpu", threads: 1, batchSize: 20 });
  const { families } = opened.config;
  const evaluate = (options: Partial<EvaluateProteinOptions>) =>
    evaluateProteinModel(network, opened.config, {
      paths: [join(folder, "held")],
      familyFrom: "file",
      ...options,
    });
  try {
    const done: number[] = [];
    const found = await evaluate({ onProgress: (sequences) => done.push(sequences) });
    expect(done.at(-1)).toBe(60);
    const { accuracy, macroF1, rows, logLoss, classes } = result.test!;
    expect(found.metrics).toMatchObject({ accuracy, macroF1, rows });
    expect(found.metrics.logLoss).toBeCloseTo(logLoss, 5);
    expect(found.metrics.classes).toEqual(classes);
    expect(found).toMatchObject({ threshold: result.threshold, others: null });
    expect(found.known).toMatchObject({ sequences: 60, families: 3 });
    expect(found.known.unknown).toBeLessThan(0.3);
    expect((await evaluate({ threshold: 1 })).known.unknown).toBeGreaterThan(0.9);

    // Families that it does not know change nothing of what is measured on the others.
    const strangers = madeRecords(9, 2, 40).map((record) => ({
      ...record,
      family: `other-${record.family}`,
    }));
    await writeFamilies(join(folder, "held"), strangers);
    const both = await evaluate({});
    expect(both.metrics).toMatchObject({ accuracy, rows });
    expect(both.others).toMatchObject({ sequences: 80, families: 2 });
    expect((await evaluate({ threshold: 1 })).others!.unknown).toBeGreaterThan(0.9);
    expect((await evaluate({ threshold: 0 })).others!.unknown).toBe(0);

    // By headers, one family alone.
    const one = join(folder, "one.fa");
    const own = records.filter(({ family }) => family === families[0]);
    await writeFile(
      one,
      fastaText(own.map((record) => ({ ...record, id: `${record.family}|${record.id}` }))),
    );
    const single = await evaluate({ paths: [one], familyFrom: "header" });
    expect(single.known).toMatchObject({ sequences: own.length, families: 1 });
    await expect(evaluate({ paths: [one] })).rejects.toMatchObject({
      code: "PROTEIN_NO_KNOWN_FAMILY",
      message: expect.stringMatching(/got one$/),
    });
  } finally {
    await network.dispose();
  }
});
