/**
 * @file A model of one number in training, for tests of the loop and of the driver: each step moves it by a draw of the
 * step's own, and everything that a checkpoint forgets would show in where it ends.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { Rng } from "../../../src/base/rng.ts";
import type { JsonValue } from "../../../src/base/jsonFile.ts";
import type { RunContext } from "../../../src/run/context.ts";
import { mayChange } from "../../../src/run/resumedConfig.ts";
import { RunningMeans } from "../../../src/run/runningMeans.ts";
import { trainInFlight } from "../../../src/run/stepsInFlight.ts";
import type {
  EpochUnderWay,
  Evaluation,
  Quality,
  Trainable,
  TrainingPlan,
  TrainingSummary,
  TrainingTask,
} from "../../../src/run/task.ts";

/** What it is trained by. */
export interface FakeOptions {
  epochSteps?: number;
  plan?: Partial<TrainingPlan>;
  /** Validation loss after each epoch, from the first on; the last goes on. */
  losses?: number[];
  /** Loss of a step. */
  lossAt?: (step: number) => number;
  /** Called as each validation begins. */
  onValidate?: () => void;
  /** Called as each step is asked for. */
  onAsk?: (step: number) => void | Promise<void>;
}

/** What a run came to. */
export interface FakeResult extends TrainingSummary {
  run: string;
  weight: number;
}

/** The model. */
export class FakeTrainable implements Trainable<FakeResult> {
  readonly plan: TrainingPlan;
  weight = 1;
  /** Rates of the steps done, and names of the checkpoints written, in order. */
  readonly rates: number[] = [];
  readonly saved: string[] = [];
  isDisposed = false;
  readonly #options: FakeOptions;
  readonly #context: RunContext;
  readonly #epochSteps: number;
  readonly #means = new RunningMeans();
  /** Draws taken, which a checkpoint must keep. */
  #draws = 0;
  #epochs = 0;

  constructor(context: RunContext, options: FakeOptions = {}) {
    this.#context = context;
    this.#options = options;
    this.#epochSteps = options.epochSteps ?? 5;
    this.plan = {
      epochs: 3,
      steps: 3 * this.#epochSteps,
      patience: 100,
      learningRate: { kind: "linear", base: 0.1, steps: 3 * this.#epochSteps },
      learningRateOption: "--lr",
      monitor: "logLoss",
      guessLoss: Math.LN2,
      curveSteps: 2,
      samples: { unit: "samples", total: 12 * this.#epochSteps },
      ...options.plan,
    };
  }

  start(position: JsonValue | null): Promise<void> {
    if (position !== null) this.#draws = (position as { draws: number }).draws;
    return Promise.resolve();
  }

  async train(epoch: EpochUnderWay): Promise<boolean> {
    const { onAsk, lossAt = (step) => 0.5 + 1 / (10 + step) } = this.#options;
    this.#epochs = epoch.epoch;
    const batches = Array.from({ length: this.#epochSteps - epoch.epochStep }, (_, i) => i);
    let asked = this.#draws;
    const steps = await trainInFlight(this.#context, {
      epoch,
      batches,
      ask: async (_, { step, learningRate }) => {
        const draw = new Rng(7, asked++).uniform();
        await onAsk?.(step);
        return { step, learningRate, draw };
      },
      land: (_, { step, learningRate, draw }) => {
        this.weight = this.weight * (1 - learningRate) + learningRate * draw;
        this.#draws++;
        this.rates.push(learningRate);
        this.#means.add(4, 4 * lossAt(step));
        return { samples: 4, loss: lossAt(step) };
      },
    });
    return epoch.epochStep + steps === this.#epochSteps;
  }

  takeCurvePoint(): Quality | null {
    return this.#means.take();
  }

  validate(): Promise<Evaluation> {
    this.#options.onValidate?.();
    if (this.#context.signal?.aborted) return Promise.reject(this.#context.signal.reason as Error);
    const { losses = [0.6, 0.5, 0.4] } = this.#options;
    return Promise.resolve({ logLoss: losses[Math.min(this.#epochs, losses.length - 1)]! });
  }

  position(): JsonValue {
    return { draws: this.#draws };
  }

  async save(directory: string, state: JsonValue): Promise<void> {
    this.saved.push(directory.split("/").at(-1)!);
    await mkdir(directory, { recursive: true });
    await writeFile(join(directory, "checkpoint.json"), JSON.stringify({ state, weight: this.weight }));
  }

  async load(directory: string): Promise<JsonValue> {
    const text = await readFile(join(directory, "checkpoint.json"), "utf8");
    const { state, weight } = JSON.parse(text) as { state: JsonValue; weight: number };
    this.weight = weight;
    return state;
  }

  finish(summary: TrainingSummary): Promise<FakeResult> {
    const { epochs: epoch, steps: step, trainSeconds: seconds, finished } = summary;
    if (finished)
      this.#context.onEvent({ event: "metrics", part: "test", epoch, step, seconds, logLoss: 0.5 });
    return Promise.resolve({ ...summary, run: "", weight: this.weight });
  }

  dispose(): Promise<void> {
    this.isDisposed = true;
    return Promise.resolve();
  }
}

const config = z.strictObject({
  data: z.strictObject({ paths: z.array(z.string()) }),
  settings: z.strictObject({
    learningRate: z.number(),
    batchSize: z.int(),
    threads: mayChange(z.int()),
    device: mayChange(z.enum(["cpu", "cuda"])),
  }),
});
/** Its configuration. */
export type FakeConfig = z.infer<typeof config>;
/** A configuration whose batch size may be left to the data. */
export interface FakeRequest {
  data: FakeConfig["data"];
  settings: Omit<FakeConfig["settings"], "batchSize"> & { batchSize?: number };
}

/** What a test sees and decides of a task. */
export interface FakeTask {
  options?: FakeOptions;
  fingerprint?: string;
  /** Called when the data is read. */
  onPrepare?: () => void;
  /** The models that were opened. */
  opened?: FakeTrainable[];
}

/** A task of the model. */
export function fakeTask({ options, fingerprint = "f00d", onPrepare, opened }: FakeTask = {}): TrainingTask<
  FakeConfig,
  FakeRequest,
  FakeResult
> {
  return {
    command: "fake train",
    schema: config,
    prepare({ data, settings }) {
      onPrepare?.();
      return Promise.resolve({
        config: { data, settings: { ...settings, batchSize: settings.batchSize ?? 4 } },
        seed: 7,
        fingerprint,
        open(context) {
          const trainable = new FakeTrainable(context, options);
          opened?.push(trainable);
          return Promise.resolve(trainable);
        },
      });
    },
  };
}
