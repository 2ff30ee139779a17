/** @file Training with rows in each place: the same losses, the same files, the same rules. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ClickBatch } from "../../../../src/recsys/data/batches/clickBatch.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { DeviceTables } from "../../../../src/recsys/embedding/cuda/deviceTables.ts";
import { DenseModel } from "../../../../src/recsys/models/denseModel.ts";
import { dlrm } from "../../../../src/recsys/models/dlrm.ts";
import {
  denseOptimizer,
  sparseOptimizer,
  type OptimizerName,
  type TrainingSettings,
} from "../../../../src/recsys/training/settings.ts";
import { StepPipeline } from "../../../../src/recsys/training/stepPipeline.ts";
import { lookupsOf, randomBags, type Bags } from "../../../support/recsys/bags.ts";
import {
  encode,
  run,
  smallSettings,
  waveLog,
  type RunData,
  faeText,
  type RunOptions,
} from "../../../support/recsys/clickRuns.ts";
import { cudaMissing, openCuda } from "./cudaDevice.ts";
import { cutPlan } from "../../../support/recsys/planParts.ts";
import { wholeBatches } from "../../../../src/recsys/strategies/batchPlan.ts";

const missing = await cudaMissing();

const OPTIMIZERS: OptimizerName[] = ["sgd", "adagrad", "rwsadagrad", "adam"];
const CARDINALITIES = [400, 60, 20];
const PLACES: Record<string, Partial<TrainingSettings>> = {
  device: { device: "cuda", placement: "device" },
  hybrid: { device: "cuda", placement: "hybrid" },
  fae: { device: "cuda", strategy: faeText() },
};

describe("training", () => {
  if (missing !== null) {
    test.skip(`skipped: ${missing}`);
    return;
  }

  describe("runs", () => {
    let data: RunData;
    let runs = 0;
    beforeAll(async () => {
      const directory = await mkdtemp(join(tmpdir(), "pareto-placement-"));
      const part = (name: string, inputs: number, seed: number) => {
        const log = waveLog(randomBags(inputs, CARDINALITIES, seed), CARDINALITIES);
        return encode(join(directory, name), log, log.layout);
      };
      // The last batch of an epoch is short.
      data = { directory, train: await part("train", 700, 1), validation: await part("validation", 200, 2) };
    });
    afterAll(() => rm(data.directory, { recursive: true, force: true }));

    const trained = (settings: Partial<TrainingSettings>, options: Partial<RunOptions> = {}) =>
      run(data, { settings: { ...smallSettings, ...settings }, name: `run${runs++}`, ...options });

    test.each(OPTIMIZERS)(
      "reach the log loss of the CPU in every place, and repeat it (%s)",
      async (optimizer) => {
        for (const [name, place] of Object.entries(PLACES)) {
          const cpu = await trained({ ...place, optimizer, device: "cpu", placement: "auto" });
          const gpu = await trained({ ...place, optimizer });
          expect(gpu.state.step).toBe(cpu.state.step);
          for (const [epoch, { logLoss }] of gpu.validation.entries()) {
            expect(
              Math.abs(logLoss - cpu.validation[epoch]!.logLoss),
              `${name}, epoch ${epoch}`,
            ).toBeLessThan(1e-4);
          }
          expect(gpu.validation.at(-1)!.logLoss).toBeLessThan(gpu.validation[0]!.logLoss + 0.01);
          expect((await trained({ ...place, optimizer })).hash, name).toBe(gpu.hash);
          if (name === "fae") expect(gpu.sync.count).toBeGreaterThan(1);
        }
      },
    );

    test("give the same bits in GPU memory and on the host with the dense part on the GPU", async () => {
      // Bags are of few inputs, so no row has over 64 lookups in a batch, up to which both sum in the same order.
      const settings = { optimizer: "adam", batchSize: 16 } as const;
      const { hash } = await trained({ ...settings, ...PLACES["device"] });
      expect((await trained({ ...settings, ...PLACES["hybrid"] })).hash).toBe(hash);
    });

    test("go on from a checkpoint of another place, with its rows and their state", async () => {
      const order = [{ device: "cpu" }, PLACES["device"]!, PLACES["hybrid"]!, { device: "cpu" }] as const;
      const settings = { optimizer: "adam", epochs: order.length, decay: "constant" } as const;
      const whole = await trained(settings);
      const name = "moved";
      for (const [epoch, place] of order.entries()) {
        const stop = new AbortController();
        const onEvent: RunOptions["onEvent"] = (event) => {
          if (event.event === "metrics" && event.part === "validation") stop.abort();
        };
        const options = { name, resume: epoch > 0, signal: stop.signal, onEvent };
        const moved = await trained({ ...settings, ...place }, options);
        expect(moved.validation).toHaveLength(1);
        // The first and last epochs are the CPU's: what the others did must have come back to it.
        const difference = moved.validation[0]!.logLoss - whole.validation[epoch]!.logLoss;
        expect(Math.abs(difference), `epoch ${epoch}`).toBeLessThan(2e-4);
      }
    });

    test("stopped between two steps go on to the same weights", async () => {
      for (const [name, place] of Object.entries(PLACES)) {
        const { hash } = await trained(place);
        const folder = `stopped-${name}`;
        const stop = new AbortController();
        let seen = 0;
        const watch = { onBatch: () => void (++seen === 6 && stop.abort()) };
        const first = await trained(place, { name: folder, signal: stop.signal, watch });
        expect(first.finished).toBe(false);
        expect(first.state.step).toBeGreaterThan(2);
        const second = await trained(place, { name: folder, resume: true });
        expect(second.hash, name).toBe(hash);
      }
    });
  });

  describe("the pipeline over rows in GPU memory", () => {
    const B = 16;
    const DIM = 8;
    const open: { dispose(): Promise<void> }[] = [];
    afterEach(async () => {
      for (const resource of open.splice(0).reverse()) await resource.dispose();
    });

    async function parts(optimizer: OptimizerName) {
      const device = await openCuda();
      open.push(device);
      const dense = await DenseModel.create(
        device,
        dlrm({ dense: 3, tables: 2, dim: DIM, bottom: [8], top: [8] }),
        {
          batchSize: B,
          optimizer: denseOptimizer(optimizer),
          seed: 3,
        },
      );
      const tables = await DeviceTables.create({
        device,
        cardinalities: [40, 7],
        dim: DIM,
        optimizer: sparseOptimizer(optimizer),
        seed: 3,
        stagingBuffers: 2,
        maxBatch: B,
        maxLookups: B * 8,
      });
      open.push(dense, tables);
      const learned = async (): Promise<Float32Array[]> => {
        const states = [...dense.network.parameters.names, ...dense.network.optimizerState.names].map(
          (name) => device.readState(name),
        );
        const rows = [40, 7].flatMap((count, t) => {
          const { weights, state } = tables.readRows(t, 0, count);
          return [weights, ...Object.values(state)];
        });
        return [...((await Promise.all(states)) as Float32Array[]), ...rows];
      };
      return { dense, tables, learned };
    }

    /** Batches that read what the one before has just written; the last is short. */
    function batchesOf(count: number): ClickBatch[] {
      const rng = new Rng(11);
      return Array.from({ length: count }, (_, i) => {
        const size = i === count - 1 ? 5 : B;
        const bags: Bags = Array.from({ length: size }, (__, b) =>
          b === 0
            ? [[], [i % 7, i % 7]]
            : [[i + (b % 2)], Array.from({ length: rng.integer(4) }, () => rng.integer(7))],
        );
        return {
          size,
          dense: Float32Array.from({ length: size * 3 }, () => rng.normal()),
          lookups: lookupsOf(bags, 2),
          labels: Float32Array.from({ length: size }, () => rng.integer(2)),
          rows: Float64Array.from({ length: size }, (__, b) => i * B + b),
        };
      });
    }

    async function* streamed(batches: readonly ClickBatch[]): AsyncGenerator<ClickBatch> {
      for (const batch of batches) {
        await new Promise((resolve) => setTimeout(resolve, batch.rows[0]! % 3));
        yield batch;
      }
    }

    async function train(
      { dense, tables }: Awaited<ReturnType<typeof parts>>,
      batches: readonly ClickBatch[],
      onStep: (loss: number, step: number) => boolean,
      stepsDone = 0,
    ): Promise<number> {
      const { steps } = await new StepPipeline(dense).train({
        plans: wholeBatches(tables, streamed(batches)),
        stepsDone,
        learningRate: () => 0.1,
        onStep: ({ loss, step }) => onStep(loss, step),
      });
      return steps;
    }

    test.each(OPTIMIZERS)(
      "gives the losses and weights of a serial loop, bit for bit (%s)",
      async (optimizer) => {
        const batches = batchesOf(20);
        const serial = await parts(optimizer);
        const wanted: number[] = [];
        // A stretch of one batch has nothing under way beside it.
        for (const [i, batch] of batches.entries()) {
          await train(serial, [batch], (loss) => wanted.push(loss) > 0, i);
        }
        const pipelined = await parts(optimizer);
        const before = await pipelined.learned();
        const got: number[] = [];
        expect(await train(pipelined, batches, (loss) => got.push(loss) > 0)).toBe(batches.length);
        expect(got).toEqual(wanted);
        expect(await pipelined.learned()).toEqual(await serial.learned());
        expect(await pipelined.learned()).not.toEqual(before);
      },
    );

    test.each(OPTIMIZERS)(
      "gives whole batches' weights from batches in parts, to rounding (%s)",
      async (optimizer) => {
        const batches = batchesOf(12);
        const [whole, cut] = [await parts(optimizer), await parts(optimizer)];
        await train(whole, batches, () => true);
        const rng = new Rng(5);
        async function* cutPlans() {
          for await (const plan of wholeBatches(cut.tables, streamed(batches))) yield cutPlan(plan, 2, rng);
        }
        const losses: number[] = [];
        await new StepPipeline(cut.dense).train({
          plans: cutPlans(),
          stepsDone: 0,
          learningRate: () => 0.1,
          onStep: ({ loss }) => losses.push(loss) > 0,
        });
        expect(losses).toHaveLength(batches.length);
        const [got, wanted] = [await cut.learned(), await whole.learned()];
        for (const [i, values] of wanted.entries()) {
          const difference = Math.max(...values.map((value, k) => Math.abs(value - got[i]![k]!)));
          expect(difference, `array ${i}`).toBeLessThan(1e-3);
        }
      },
    );

    test("a loss that is not finite does not reach the rows", async () => {
      const made = await parts("sgd");
      const batches = batchesOf(3);
      batches[0]!.dense[0] = NaN;
      const rows = (learned: Float32Array[]) => learned.slice(-2);
      const before = rows(await made.learned());
      const losses: number[] = [];
      const failed = train(made, batches, (loss) => {
        losses.push(loss);
        throw new Error("not finite");
      });
      await expect(failed).rejects.toThrow("not finite");
      expect(losses).toEqual([NaN]);
      expect(rows(await made.learned())).toEqual(before);
    });

    test("a stretch that is told to end counts the step that is under way", async () => {
      const made = await parts("sgd");
      const steps: number[] = [];
      const done = await train(made, batchesOf(10), (_, step) => steps.push(step) < 3);
      expect(steps).toEqual([1, 2, 3, 4]);
      expect(done).toBe(4);
    });

    test("lookups that are wrong end the stretch with their error", async () => {
      const made = await parts("sgd");
      const batches = batchesOf(4);
      batches[2]!.lookups.ids[0] = 4000;
      await expect(train(made, batches, () => true)).rejects.toMatchObject({ code: "LOOKUP_OUT_OF_RANGE" });
    });
  });
});
