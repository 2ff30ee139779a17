/** @file A run that was stopped, wherever it stood, ends with the weights of one that was not. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { TrainingSegment } from "../../../../src/recsys/strategies/strategy.ts";
import type { OptimizerName, TrainingSettings } from "../../../../src/recsys/training/settings.ts";
import type { RunEvent } from "../../../../src/run/events.ts";
import { randomBags } from "../../../support/recsys/bags.ts";
import {
  encode,
  faeText,
  run,
  waveLog,
  smallSettings,
  type RunData,
  type RunOptions,
} from "../../../support/recsys/clickRuns.ts";

const CARDINALITIES = [400, 60, 20];

let data: RunData;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "pareto-resume-"));
  const part = (name: string, inputs: number, seed: number) => {
    const log = waveLog(randomBags(inputs, CARDINALITIES, seed), CARDINALITIES);
    return encode(join(directory, name), log, log.layout);
  };
  data = { directory, train: await part("train", 2500, 1), validation: await part("validation", 500, 2) };
});
afterAll(() => rm(data.directory, { recursive: true, force: true }));

let runs = 0;
const newName = () => `run${runs++}`;

/** When to stop, by what the run is seen to do. */
type Stop = (abort: () => void) => Pick<RunOptions, "watch" | "onEvent">;

const inThe =
  (kind: string, nth: number, batch: number): Stop =>
  (abort) => {
    const seen: TrainingSegment[] = [];
    return {
      watch: {
        onBatch: (segment, index) => {
          if (segment.name !== kind) return;
          if (seen.at(-1) !== segment) seen.push(segment);
          if (seen.length === nth && index === batch) abort();
        },
      },
    };
  };
const afterSegment =
  (kind: string, nth: number): Stop =>
  (abort) => {
    let ended = 0;
    return {
      watch: {
        onCompleted: (segment) => {
          if (segment.name === kind && ++ended === nth) abort();
        },
      },
    };
  };
const onEvent =
  (matches: (event: RunEvent) => boolean): Stop =>
  (abort) => ({
    onEvent: (event) => {
      if (matches(event)) abort();
    },
  });
const afterValidation = onEvent((event) => event.event === "metrics" && event.part === "validation");
const afterDecision = onEvent((event) => event.event === "decision" && event.kind === "recsys.rate");

const afterDecisions = (count: number): Stop => {
  let decisions = 0;
  return onEvent(
    (event) => event.event === "decision" && event.kind === "recsys.rate" && ++decisions === count,
  );
};

/** Runs until the stop, then to the end from the checkpoint. */
async function interrupted(settings: TrainingSettings, stop: Stop, resumed: Partial<TrainingSettings> = {}) {
  const name = newName();
  const controller = new AbortController();
  const first = await run(data, {
    settings,
    name,
    signal: controller.signal,
    ...stop(() => controller.abort()),
  });
  expect(controller.signal.aborted, "the stop was reached").toBe(true);
  expect(first.finished).toBe(false);
  const second = await run(data, { settings: { ...settings, ...resumed }, name, resume: true });
  expect(second.finished).toBe(true);
  return { first, second };
}

const uninterrupted = new Map<string, Promise<string>>();
/** Hash of the run without a stop. */
function hashWithout(settings: TrainingSettings): Promise<string> {
  const key = JSON.stringify(settings);
  const known = uninterrupted.get(key) ?? run(data, { settings, name: newName() }).then(({ hash }) => hash);
  uninterrupted.set(key, known);
  return known;
}

const stops: [where: string, strategy: "baseline" | "fae", shuffle: "fixed" | "adaptive", stop: Stop][] = [
  ["in the middle of an epoch", "baseline", "fixed", inThe("train", 1, 17)],
  ["before the first step's end", "baseline", "fixed", inThe("train", 1, 0)],
  ["in the second epoch", "baseline", "fixed", inThe("train", 2, 9)],
  ["at an epoch's end", "baseline", "fixed", afterValidation],
  ["in a cold segment", "fae", "fixed", inThe("cold", 2, 3)],
  ["in a hot segment", "fae", "fixed", inThe("hot", 1, 3)],
  ["in a hot segment, at an adaptive rate", "fae", "adaptive", inThe("hot", 2, 2)],
  ["in a hot segment of the second epoch", "fae", "adaptive", inThe("hot", 4, 2)],
  ["between a cold and a hot segment", "fae", "adaptive", afterSegment("cold", 1)],
  ["at a round's end", "fae", "fixed", afterSegment("hot", 1)],
  ["at a round's end, before its loss is known", "fae", "adaptive", afterSegment("hot", 1)],
  ["at a round's end, with its loss", "fae", "adaptive", afterDecision],
  ["at the last round's end", "fae", "adaptive", afterSegment("hot", 2)],
  ["at an epoch's end", "fae", "adaptive", afterValidation],
];

describe.each<OptimizerName>(["sgd", "rwsadagrad"])("a run with %s", (optimizer) => {
  test.each(stops)("stopped %s (%s, %s) goes on to the same weights", async (_, name, shuffle, stop) => {
    const strategy = name === "fae" ? faeText({ shuffle }) : name;
    const settings: TrainingSettings = { ...smallSettings, optimizer, strategy };
    const { second } = await interrupted(settings, stop);
    expect(second.hash).toBe(await hashWithout(settings));
  });

  test("saved under FAE goes on as baseline", async () => {
    const settings: TrainingSettings = { ...smallSettings, optimizer, strategy: faeText() };
    const { first, second } = await interrupted(settings, inThe("hot", 1, 3), { strategy: "baseline" });
    expect(second.hash).not.toBe(first.hash);
    // The epoch under way begins anew, then the second.
    expect(second.state.step).toBe(first.state.step + 2 * data.train.batchCount(settings.batchSize));
    expect(second.state.position).toMatchObject({ name: "baseline" });
    expect(second.validation).toHaveLength(2);
    for (const { logLoss } of second.validation) expect(logLoss).toBeLessThan(0.8);
  });
});

test("a run stopped between two hot segments, with the newest rows in the hot copy, goes on to the same weights", async () => {
  // Nearly all inputs are hot, so the cold ones are used up after a few of the many small rounds.
  const settings: TrainingSettings = {
    ...smallSettings,
    strategy: faeText({ budget: 12_000, shuffle: "fixed:rate=4" }),
  };
  const kinds: string[] = [];
  await run(data, {
    settings: { ...settings, epochs: 1 },
    name: newName(),
    watch: { onCompleted: ({ name }) => kinds.push(name) },
  });
  expect(kinds.slice(-8)).toEqual(Array<string>(8).fill("hot"));
  const { second } = await interrupted(settings, afterDecisions(22));
  expect(second.hash).toBe(await hashWithout(settings));
});

test("a run with another seed ends with other weights", async () => {
  expect(await hashWithout({ ...smallSettings, seed: 6 })).not.toBe(await hashWithout(smallSettings));
});

test("threads do not change a run's weights", async () => {
  for (const strategy of ["baseline", faeText()]) {
    const settings: TrainingSettings = { ...smallSettings, strategy, optimizer: "rwsadagrad" };
    const one = await hashWithout(settings);
    for (const threads of [2, 4]) expect(await hashWithout({ ...settings, threads }), `${threads}`).toBe(one);
  }
});
