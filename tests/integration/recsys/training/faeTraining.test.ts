/** @file FAE through the trainer: which inputs it trains, what evaluation sees, and what synchronising costs. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ClickBatch } from "../../../../src/recsys/data/batches/clickBatch.ts";
import type { FaeFile } from "../../../../src/recsys/strategies/fae/faeFile.ts";
import { FaeStrategy } from "../../../../src/recsys/strategies/fae/faeStrategy.ts";
import { mapLookups } from "../../../../src/recsys/data/batches/mapLookups.ts";
import { shuffleRatePolicies } from "../../../../src/recsys/strategies/fae/shuffleRate.ts";
import { ShuffleScheduler } from "../../../../src/recsys/strategies/fae/scheduler.ts";
import type { TrainingSegment, TrainingStrategy } from "../../../../src/recsys/strategies/strategy.ts";
import type { ClickNetwork } from "../../../../src/recsys/training/clickNetwork.ts";
import { maxLookupsOf } from "../../../../src/recsys/training/maxLookups.ts";
import type { OptimizerName, TrainingSettings } from "../../../../src/recsys/training/settings.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { randomBags } from "../../../support/recsys/bags.ts";
import {
  DIM,
  faeFileFor,
  faeText,
  run,
  smallSettings,
  waveLog,
  encode,
  type RunData,
} from "../../../support/recsys/clickRuns.ts";
import { mapBatches } from "../../../support/recsys/watchedStrategy.ts";
import { wholeBatches } from "../../../../src/recsys/strategies/batchPlan.ts";

const CARDINALITIES = [400, 60, 20];
const INPUTS = 2500;
/** The adaptive rate that starts at a percent. */
const adaptive = (start: number) => shuffleRatePolicies.parse({ name: "adaptive", start }, "test").create();
const fae: TrainingSettings = { ...smallSettings, strategy: faeText() };

let data: RunData;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "pareto-fae-training-"));
  const part = (name: string, inputs: number, seed: number) => {
    const log = waveLog(randomBags(inputs, CARDINALITIES, seed), CARDINALITIES);
    return encode(join(directory, name), log, log.layout);
  };
  data = { directory, train: await part("train", INPUTS, 1), validation: await part("validation", 500, 2) };
});
afterAll(() => rm(data.directory, { recursive: true, force: true }));

let runs = 0;
const newName = () => `run${runs++}`;

/** Rows that a run trains: taken by the trainer, and of batches that it then completed. */
function rowRecorder() {
  const trained: number[] = [];
  let taken: number[][] = [];
  return {
    trained,
    watch: {
      onBatch: (_: TrainingSegment, __: number, batch: ClickBatch) => void taken.push([...batch.rows]),
      onCompleted: (_: TrainingSegment, batches: number) => {
        trained.push(...taken.slice(0, batches).flat());
        taken = [];
      },
    },
  };
}
const everyInput = Array.from({ length: INPUTS }, (_, i) => i);
const inOrder = (rows: readonly number[]) => rows.toSorted((a, b) => a - b);

describe("each input is trained exactly once an epoch", () => {
  test.each([1, 10, 50, 100])("at R(%i)", async (rate) => {
    const { trained, watch } = rowRecorder();
    await run(data, {
      settings: { ...fae, strategy: faeText({ shuffle: `fixed:rate=${rate}` }), epochs: 2 },
      name: newName(),
      watch,
    });
    const [first, second] = [trained.slice(0, INPUTS), trained.slice(INPUTS)];
    expect(inOrder(first)).toEqual(everyInput);
    expect(inOrder(second)).toEqual(everyInput);
    expect(second).not.toEqual(first);
  });

  test("at an adaptive rate, over a stop in a hot segment", async () => {
    const { trained, watch } = rowRecorder();
    const name = newName();
    const settings: TrainingSettings = { ...fae, strategy: faeText({ shuffle: "adaptive" }), epochs: 1 };
    const controller = new AbortController();
    const onBatch = (segment: TrainingSegment, index: number, batch: ClickBatch) => {
      watch.onBatch(segment, index, batch);
      if (segment.name === "hot" && index === 3) controller.abort();
    };
    await run(data, { settings, name, signal: controller.signal, watch: { ...watch, onBatch } });
    expect(trained.length).toBeLessThan(INPUTS);
    await run(data, { settings, name, resume: true, watch });
    expect(inOrder(trained)).toEqual(everyInput);
  });
});

/** FAE's order of batches with one copy of each row: hot batches look up the rows of their hot indices in the tables. */
class SingleCopyStrategy implements TrainingStrategy {
  readonly name = "fae";
  readonly sync = { count: 0, bytes: 0, seconds: 0 };
  readonly hot = null;
  readonly popular = null;
  readonly #network: ClickNetwork;
  readonly #file: FaeFile;
  readonly #scheduler: ShuffleScheduler;

  constructor(
    network: ClickNetwork,
    file: FaeFile,
    settings: TrainingSettings,
    onEvent: (event: RunEvent) => void,
  ) {
    const { batchSize } = settings;
    const [coldBatches, hotBatches] = [file.cold.batchCount(batchSize), file.hot.batchCount(batchSize)];
    this.#network = network;
    this.#file = file;
    this.#scheduler = new ShuffleScheduler({ coldBatches, hotBatches, rate: adaptive(10), onEvent });
  }

  next(): Promise<TrainingSegment | null> {
    const next = this.#scheduler.next();
    if (!next) return Promise.resolve(null);
    const { kind, firstBatch, count } = next;
    const { tables } = this.#network;
    const segment: TrainingSegment = {
      name: kind,
      count,
      plans: (order) =>
        wholeBatches(tables, this.#file[kind].batches({ ...order, start: firstBatch }), count),
    };
    return Promise.resolve(kind === "cold" ? segment : mapBatches(segment, (batch) => this.#withRows(batch)));
  }

  #withRows(batch: ClickBatch): ClickBatch {
    const { rows, space } = this.#file.hotSet;
    const all = Uint32Array.from({ length: batch.size }, (_, b) => b);
    const lookups = mapLookups(
      batch.lookups,
      all,
      (table, hotIndex) => rows[hotIndex]! - space.offsets[table]!,
    );
    return { ...batch, lookups };
  }

  completed(batches: number): void {
    if (batches > 0) this.#scheduler.completed(batches);
  }

  async segmentEnded(validationLoss: () => Promise<number>): Promise<void> {
    if (this.#scheduler.awaitsLoss) this.#scheduler.afterRound(await validationLoss());
  }

  startEpoch(): void {
    this.#scheduler.startEpoch();
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  state(): unknown {
    return this.#scheduler.state;
  }

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

/** A run with the losses that its scheduler took. */
async function runWithLosses(
  settings: TrainingSettings,
  makeStrategy?: Parameters<typeof run>[1]["makeStrategy"],
) {
  const losses: unknown[] = [];
  const onEvent = (event: RunEvent): void => {
    if (event.event === "decision" && event.kind === "recsys.rate") losses.push(event.saw["loss"]);
  };
  const outcome = await run(data, {
    settings,
    name: newName(),
    onEvent,
    ...(makeStrategy && { makeStrategy }),
  });
  return { ...outcome, losses };
}

describe.each<OptimizerName>(["sgd", "adagrad", "rwsadagrad", "adam"])(
  "two copies of hot rows with %s",
  (optimizer) => {
    const settings: TrainingSettings = {
      ...fae,
      optimizer,
      learningRate: 0.02,
      strategy: faeText({ shuffle: "adaptive:start=10" }),
    };

    test("train, validate and end as one copy does, bit for bit", async () => {
      const file = await faeFileFor(data, settings);
      const two = await runWithLosses(settings);
      const one = await runWithLosses(settings, (network, onEvent) =>
        Promise.resolve(new SingleCopyStrategy(network, file, settings, onEvent)),
      );
      expect(two.sync.count).toBeGreaterThan(12);
      expect(two.losses.length).toBeGreaterThan(6);
      expect(two.losses).toEqual(one.losses);
      expect(two.validation).toEqual(one.validation);
      expect(two.hash).toBe(one.hash);
    });
  },
);

test("an evaluation that did not wait for the hot rows would see other losses", async () => {
  const settings: TrainingSettings = {
    ...fae,
    strategy: faeText({ shuffle: "adaptive:start=10" }),
    learningRate: 0.02,
  };
  const right = await runWithLosses(settings);
  const file = await faeFileFor(data, settings);
  const wrong = await runWithLosses(settings, async (network, onEvent) => {
    const strategy = await FaeStrategy.create({
      tables: network.hostTables,
      file,
      batchSize: settings.batchSize,
      maxLookups: maxLookupsOf(data.train, settings.batchSize),
      rate: adaptive(10),
      clock: () => 0,
      onEvent,
    });
    strategy.flush = () => Promise.resolve();
    return strategy;
  });
  expect(wrong.losses).not.toEqual(right.losses);
});

describe("synchronisation", () => {
  test.each([
    [100, 2],
    [50, 4],
    [10, 20],
  ])("at R(%i) happens %i times an epoch and moves no more than the hot rows", async (rate, syncs) => {
    // Small batches, so that each class has many.
    const settings: TrainingSettings = {
      ...fae,
      strategy: faeText({ shuffle: `fixed:rate=${rate}` }),
      batchSize: 8,
      optimizer: "rwsadagrad",
    };
    const file = await faeFileFor(data, settings);
    expect(Math.min(file.hot.batchCount(8), file.cold.batchCount(8))).toBeGreaterThan(90);
    let told = 0;
    const onEvent = (event: RunEvent): void => {
      if (event.event === "span" && event.span === "sync") told += event.detail!["bytes"]!;
    };
    const { sync, hot } = await run(data, { settings, name: newName(), onEvent });
    const rowBytes = 4 * DIM + 4;
    expect(hot!.bytes).toBe(hot!.rows * rowBytes);
    expect(hot!.bytes).toBeLessThanOrEqual(6400);
    expect(sync.count).toBe(syncs * settings.epochs);
    expect(sync.bytes).toBe(told);
    expect(sync.bytes).toBeGreaterThanOrEqual(hot!.bytes);
    expect(sync.bytes).toBeLessThanOrEqual(sync.count * hot!.bytes);
    // In a short segment few of the hot rows change.
    if (rate === 10) expect(sync.bytes).toBeLessThan(0.8 * sync.count * hot!.bytes);
    expect(sync.bytes % rowBytes).toBe(0);
  });
});
