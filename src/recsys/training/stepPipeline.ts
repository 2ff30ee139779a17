/**
 * @file The inner loop of training and of prediction: a strategy's plans through embedding stores and the dense model, with
 * the next plan read and its rows gathered while the current one computes.
 *
 * While the dense step of plan i runs, plan i + 1 is read from disk and staged, its inputs copied into page-locked
 * memory where the device has such. Rows on the host: after the update of plan i, what it changed is gathered again
 * in the staging buffer of plan i + 1. Rows in device memory: the update of plan i is asked for with its step, before plan
 * i + 1 is staged and before the loss is known (a guard on the device keeps a loss that is not finite from the rows),
 * and step i is looked at when step i + 1 is under way, so that the device never waits for this thread. A plan of several
 * parts waits for its loss wherever its rows are. The result is that of a serial loop, bit for bit.
 */
import type { ClickBatch } from "../data/batches/clickBatch.ts";
import type { EmbeddingStore } from "../embedding/embeddingStore.ts";
import type { DenseModel } from "../models/denseModel.ts";
import type { BatchPlan } from "../strategies/batchPlan.ts";
import { partsWithInputs, PlanBuffers, type StagedPlan, type StepOutcome } from "./planBuffers.ts";

/** One finished training step; its arrays are valid during the call. */
export interface StepReport extends StepOutcome {
  /** 1-based. */
  step: number;
  /** Inputs of the step. */
  size: number;
}

/** A stretch of training. */
export interface TrainStretch {
  plans: AsyncIterable<BatchPlan>;
  /** Steps done before. */
  stepsDone: number;
  learningRate: (step: number) => number;
  /** Called after each step; false ends the stretch, with the step that is under way then. */
  onStep: (report: StepReport) => boolean;
}

/** What was done of a stretch. */
export interface TrainedStretch {
  steps: number;
  /** Batches of the epoch's order that its plans used up. */
  batches: number;
}

/** A step that was asked for. */
interface Flight {
  step: number;
  buffer: number;
  plan: StagedPlan;
  /** Resolves when the device is done with it. */
  done: Promise<unknown>;
}

/** Trains and predicts with a dense model. */
export class StepPipeline {
  /** They take turns. */
  readonly #buffers: readonly [PlanBuffers, PlanBuffers];

  constructor(dense: DenseModel) {
    this.#buffers = [new PlanBuffers(dense, 0), new PlanBuffers(dense, 1)];
  }

  /** Trains on the plans of a stretch, to its end or until `onStep` says so. */
  async train({ plans, stepsDone, learningRate, onStep }: TrainStretch): Promise<TrainedStretch> {
    const source = plans[Symbol.asyncIterator]();
    const trained: TrainedStretch = { steps: 0, batches: 0 };
    const flights: Flight[] = [];
    /** Batches of plans without inputs; they count with the next step. */
    let passed = 0;
    let goesOn = true;
    const stage = async (buffer: number): Promise<StagedPlan | null> => {
      if (!goesOn) return null;
      for (;;) {
        const { value, done } = await source.next();
        if (done) return null;
        const { batches = 1 } = value;
        const parts = partsWithInputs(value);
        passed += batches;
        if (parts.length === 0) continue;
        const staged = this.#buffers[buffer]!.stage(parts, passed);
        passed = 0;
        return staged;
      }
    };
    const start = (plan: StagedPlan, buffer: number, step: number): void => {
      const done = this.#buffers[buffer]!.start(plan, { learningRate: learningRate(step), step });
      // It is awaited later; a failure before then must not count as unhandled.
      done.catch(() => undefined);
      flights.push({ step, buffer, plan, done });
    };
    const land = ({ step, buffer, plan }: Flight): void => {
      trained.steps++;
      trained.batches += plan.batches;
      const { size } = plan;
      if (!onStep({ step, size, ...this.#buffers[buffer]!.outcome(plan) })) goesOn = false;
    };
    /** Waits for the oldest step under way. */
    const landOldest = async (): Promise<void> => {
      await flights[0]!.done;
      land(flights.shift()!);
    };
    try {
      let buffer = 0;
      let current = await stage(buffer);
      for (let asked = 0; current || flights.length > 0; buffer = 1 - buffer) {
        if (!current) {
          await landOldest();
          continue;
        }
        const plan = current;
        const step = stepsDone + ++asked;
        start(plan, buffer, step);
        // A step is looked at when the next one is under way: then its buffer is free for the plan after that.
        while (flights.length > 1) await landOldest();
        if (plan.isQueued) {
          const following = await stage(1 - buffer);
          current = goesOn ? following : null;
          continue;
        }
        const flight = flights[0]!;
        const [next] = await Promise.all([stage(1 - buffer), flight.done]);
        const { stores } = plan;
        // A loss that is not a number must not reach the rows; the guard behind onStep says what to do.
        if (Number.isFinite(this.#buffers[buffer]!.loss(plan))) {
          const rate = learningRate(step);
          await Promise.all(stores.map((store) => store.update(buffer, rate, step)));
        }
        flights.shift();
        land(flight);
        current = goesOn ? next : null;
        const shared = current?.stores.filter((store) => stores.includes(store)) ?? [];
        await Promise.all(shared.map((store) => store.refresh(1 - buffer, buffer)));
      }
      if (goesOn) trained.batches += passed;
    } finally {
      await Promise.allSettled(flights.map(({ done }) => done));
      await source.return?.();
    }
    return trained;
  }

  /** Batches in order, each with its logits `[size]`, which are valid until the next is asked for. */
  async *predict(
    store: EmbeddingStore,
    batches: AsyncIterable<ClickBatch>,
  ): AsyncGenerator<{ batch: ClickBatch; logits: Float32Array }, void, undefined> {
    const source = batches[Symbol.asyncIterator]();
    const stage = async (buffer: number): Promise<[ClickBatch, StagedPlan] | null> => {
      const { value: batch, done } = await source.next();
      if (done) return null;
      return [batch, await this.#buffers[buffer]!.stage([{ store, inputs: batch }], 1)];
    };
    try {
      let buffer = 0;
      let current = await stage(buffer);
      while (current) {
        const [batch, plan] = current;
        const [logits, next] = await Promise.all([this.#buffers[buffer]!.predict(plan), stage(1 - buffer)]);
        yield { batch, logits };
        buffer = 1 - buffer;
        current = next;
      }
    } finally {
      await source.return?.();
    }
  }
}
