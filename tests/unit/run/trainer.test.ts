/** @file The loop of training: it resumes to the same bits from every step, and ends when it should. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { RunContext } from "../../../src/run/context.ts";
import type { RunEvent } from "../../../src/run/events.ts";
import { BEST, LAST, Trainer, type TrainerState } from "../../../src/run/trainer.ts";
import { FakeTrainable, type FakeOptions } from "../../support/run/fakeTraining.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "pareto-trainer-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface RunOptions extends FakeOptions {
  /** Goes on from the checkpoint. */
  resume?: boolean;
  signal?: AbortSignal;
  deadline?: number;
}

/** Trains in one process. */
async function run({ resume = false, signal, deadline, ...options }: RunOptions) {
  const events: RunEvent[] = [];
  const context = new RunContext({ onEvent: (event) => events.push(event), ...(signal && { signal }) });
  const trainable = new FakeTrainable(context, options);
  const state = resume ? ((await trainable.load(join(directory, LAST))) as unknown as TrainerState) : null;
  await trainable.start(state?.position ?? null);
  const trainer = new Trainer({
    trainable,
    context,
    directory,
    ...(state && { state }),
    ...(deadline !== undefined && { deadline }),
  });
  const finished = await trainer.run();
  return { finished, trainable, events, state: trainer.state, summary: trainer.summary };
}

/** What must not depend on where a run was stopped. */
const outcome = ({ trainable, state }: Awaited<ReturnType<typeof run>>) => {
  const { trainSeconds: _, ...rest } = state;
  return { weight: trainable.weight, ...rest };
};
const metrics = (events: readonly RunEvent[], part: string) =>
  events.flatMap((event) => (event.event === "metrics" && event.part === part ? [event] : []));

test("a run that is stopped at any step goes on to the same weight, rate and guard", async () => {
  const options: RunOptions = { losses: [0.6, 0.7, 0.65], plan: { curveSteps: 1 } };
  const whole = await run(options);
  expect(whole.finished).toBe(true);
  expect(whole.state).toMatchObject({ epoch: 3, step: 15, samples: 60, best: { epoch: 1, step: 5 } });
  for (let stopAt = 1; stopAt < 15; stopAt++) {
    await rm(directory, { recursive: true });
    const stop = new AbortController();
    const onAsk = (step: number) => {
      if (step === stopAt) stop.abort();
    };
    const first = await run({ ...options, onAsk, signal: stop.signal });
    expect(first.finished).toBe(false);
    expect(first.state.step).toBe(stopAt);
    const second = await run({ ...options, resume: true });
    expect(second.finished).toBe(true);
    expect(outcome(second)).toEqual(outcome(whole));
    expect([...first.trainable.rates, ...second.trainable.rates]).toEqual(whole.trainable.rates);
    // Every point of the curve once, with the same values.
    const points = [...metrics(first.events, "train"), ...metrics(second.events, "train")];
    const facts = (all: typeof points) => all.map(({ seconds: _, ...point }) => point);
    expect(facts(points)).toEqual(facts(metrics(whole.events, "train")));
  }
});

test("a run that is stopped while it is validated validates when it goes on, and trains no step again", async () => {
  const options: RunOptions = { losses: [0.6, 0.7, 0.65] };
  const whole = await run(options);
  for (const stopAt of [1, 2, 3]) {
    await rm(directory, { recursive: true });
    const stop = new AbortController();
    let validations = 0;
    const onValidate = () => {
      if (++validations === stopAt) stop.abort();
    };
    const first = await run({ ...options, onValidate, signal: stop.signal });
    expect(first).toMatchObject({ finished: false, state: { epoch: stopAt, awaitsValidation: true } });
    const second = await run({ ...options, resume: true });
    expect(second.finished).toBe(true);
    expect(outcome(second)).toEqual(outcome(whole));
    expect(second.trainable.rates).toHaveLength(15 - 5 * stopAt);
    expect(metrics(second.events, "validation")[0]).toMatchObject({ epoch: stopAt, step: 5 * stopAt });
  }
});

test("going on with a run that has ended trains no more", async () => {
  const whole = await run({});
  const again = await run({ resume: true });
  expect(again.finished).toBe(true);
  expect(outcome(again)).toEqual(outcome(whole));
  expect(again.trainable.rates).toEqual([]);
});

test("a stop before the first step saves the start", async () => {
  const stopped = await run({ signal: AbortSignal.abort() });
  expect(stopped).toMatchObject({ finished: false, state: { step: 0, epoch: 0 } });
  expect(outcome(await run({ resume: true }))).toEqual(outcome(await run({})));
});

test("checkpoints: the best before the last, none for the best of a single epoch", async () => {
  const { trainable } = await run({ losses: [0.6, 0.7, 0.5] });
  expect(trainable.saved).toEqual([BEST, LAST, LAST, BEST, LAST]);
  expect((await run({ plan: { epochs: 1 } })).trainable.saved).toEqual([LAST]);
});

test("events are a point of the curve each few steps and at an epoch's end, and a validation an epoch", async () => {
  const { events } = await run({});
  expect(metrics(events, "train").map(({ step }) => step)).toEqual([2, 4, 5, 6, 8, 10, 12, 14, 15]);
  expect(metrics(events, "train")[0]).toMatchObject({
    epoch: 0,
    learningRate: expect.closeTo(0.1 * (13 / 15)),
  });
  expect(metrics(events, "validation").map(({ epoch, step, logLoss }) => [epoch, step, logLoss])).toEqual([
    [1, 5, 0.6],
    [2, 10, 0.5],
    [3, 15, 0.4],
  ]);
  const spans = events.flatMap((event) => (event.event === "span" ? [[event.span, event.step]] : []));
  expect(spans.slice(0, 4)).toEqual([
    ["train", 5],
    ["evaluate", 5],
    ["checkpoint", 5],
    ["checkpoint", 5],
  ]);
});

describe("early stopping", () => {
  test("ends after so many epochs without a better metric", async () => {
    const { state, finished } = await run({
      plan: { epochs: 20, patience: 3 },
      losses: [0.6, 0.5, 0.55, 0.5, 0.51, 0.4],
    });
    expect(finished).toBe(true);
    expect(state).toMatchObject({ epoch: 5, best: { epoch: 2, step: 10, value: 0.5 } });
  });

  test("goes by the metric that the plan names", async () => {
    const plan = { epochs: 20, patience: 2, monitor: "accuracy" } as const;
    const context = new RunContext();
    const trainable = new FakeTrainable(context, { plan });
    const accuracies = [0.5, 0.7, 0.6, 0.65, 0.9];
    trainable.validate = () => Promise.resolve({ logLoss: 0.5, accuracy: accuracies.shift()! });
    const trainer = new Trainer({ trainable, context, directory });
    expect(await trainer.run()).toBe(true);
    expect(trainer.summary).toMatchObject({ epochs: 4, best: { epoch: 2, value: 0.7 } });
  });
});

test("a monitored figure that is not defined is refused, rather than keep the first epoch without a word", async () => {
  const context = new RunContext();
  const trainable = new FakeTrainable(context, { plan: { monitor: "auc" } });
  trainable.validate = () => Promise.resolve({ logLoss: 0.5, auc: Number.NaN });
  await expect(new Trainer({ trainable, context, directory }).run()).rejects.toMatchObject({
    code: "TRAIN_MONITOR",
    message: expect.stringContaining("AUC says which epoch is best") as string,
  });
});

test("a plateau lowers the rate again and again, also over a resume", async () => {
  const plan: FakeOptions["plan"] = {
    epochs: 7,
    learningRate: { kind: "plateau", base: 0.08, factor: 0.5, patience: 2 },
  };
  const options = { plan, epochSteps: 1, losses: [0.5, 0.6, 0.6, 0.6, 0.4, 0.5, 0.5] };
  const rates = [0.08, 0.08, 0.08, 0.04, 0.04, 0.04, 0.04];
  expect((await run(options)).trainable.rates).toEqual(rates);
  const stop = new AbortController();
  const onAsk = (step: number) => {
    if (step === 4) stop.abort();
  };
  const first = await run({ ...options, onAsk, signal: stop.signal });
  const second = await run({ ...options, resume: true });
  expect([...first.trainable.rates, ...second.trainable.rates]).toEqual(rates);
  expect(second.state.reductions).toBe(2);
});

describe("divergence", () => {
  test("of a step's loss ends training and leaves the last checkpoint", async () => {
    const lossAt = (step: number) => (step === 8 ? Number.NaN : 0.5);
    await expect(run({ lossAt })).rejects.toMatchObject({ code: "TRAIN_LOSS_NAN", where: "step 8" });
    const trainable = new FakeTrainable(new RunContext());
    expect(await trainable.load(join(directory, LAST))).toMatchObject({ step: 5, epoch: 1 });
  });

  test("of the validation loss does too, before its weights are saved", async () => {
    await expect(run({ losses: [0.5, 50] })).rejects.toMatchObject({
      code: "TRAIN_DIVERGED",
      where: "validation after epoch 2",
    });
    const trainable = new FakeTrainable(new RunContext());
    expect(await trainable.load(join(directory, LAST))).toMatchObject({ step: 5, epoch: 1 });
  });

  test("is told from overfitting by the loss of a guess", async () => {
    expect((await run({ losses: [0.5, 20], plan: { guessLoss: 3 } })).finished).toBe(true);
  });

  test("is seen by a resumed run as by one that was not stopped", async () => {
    const lossAt = (step: number) => (step < 28 ? 0.1 : 4);
    const options = { lossAt, epochSteps: 30 };
    const where = await run(options).then(
      () => null,
      (error: { where: string }) => error.where,
    );
    const stop = new AbortController();
    const onAsk = (step: number) => {
      if (step === 27) stop.abort();
    };
    await run({ ...options, onAsk, signal: stop.signal });
    await expect(run({ ...options, resume: true })).rejects.toMatchObject({ code: "TRAIN_DIVERGED", where });
  });
});

test("a warning tells of a model that gives one answer to everything", async () => {
  const events: RunEvent[] = [];
  const context = new RunContext({ onEvent: (event) => events.push(event) });
  const trainable = new FakeTrainable(context, { plan: { epochs: 1 } });
  trainable.validate = () => Promise.resolve({ logLoss: 0.6, isConstant: true });
  await new Trainer({ trainable, context, directory }).run();
  expect(events).toContainEqual(expect.objectContaining({ event: "notice", code: "TRAIN_CONSTANT" }));
});

describe("an end by the clock", () => {
  const plan: FakeOptions["plan"] = {
    epochs: 1e6,
    steps: 1e6,
    learningRate: { kind: "cosine", base: 0.1, warmupSteps: 2, last: 0.1 },
  };

  test("comes in the middle of an epoch, validated and saved, with the rate fallen", async () => {
    vi.useFakeTimers({ toFake: ["performance"] });
    onTestFinished(() => void vi.useRealTimers());
    const onAsk = () => void vi.advanceTimersByTime(5);
    const { finished, state, trainable, events } = await run({
      plan,
      epochSteps: 1e6,
      deadline: 0.3,
      onAsk,
    });
    expect(finished).toBe(true);
    // Of 5 ms each.
    expect(state).toMatchObject({ finished: true, epoch: 1, step: 60 });
    expect(metrics(events, "validation")).toHaveLength(1);
    expect(trainable.rates[0]).toBeCloseTo(0.05, 2);
    expect(Math.max(...trainable.rates)).toBeGreaterThan(0.09);
    expect(trainable.rates.at(-1)).toBeLessThan(0.02);
  });
});

test("steps under way when one fails do not go unhandled", async () => {
  const onAsk = (step: number): Promise<void> =>
    step === 4 ? sleep(5) : step > 4 ? Promise.reject(new Error("the device was lost")) : Promise.resolve();
  await expect(run({ onAsk })).rejects.toThrow("lost");
});
