/** @file FAE by name, with its options: calibration, the file of hot and cold inputs, and the strategy over them. */
import { join } from "node:path";
import { z } from "zod";
import { byteSize, choice, share } from "../../../base/optionSchemas.ts";
import { definePolicy } from "../../../run/policies/policy.ts";
import { digest } from "../../data/digest.ts";
import { untilAborted } from "./clickSource.ts";
import { restart, type StrategyContext, type StrategySetup, type TrainingStrategy } from "../strategy.ts";
import type { FaeConfig } from "./calibrate.ts";
import { prepareFaeFile } from "./faeFile.ts";
import { FaeStrategy, type FaeState } from "./faeStrategy.ts";
import { shuffleRatePolicies, type ShuffleRatePolicy } from "./shuffleRate.ts";

const options = z.object({
  budget: byteSize()
    .default(256 * 2 ** 20)
    .describe("Memory for hot rows with their optimizer state."),
  sample: share({ above: 0 })
    .default(0.05)
    .describe("Share of the training inputs that the access profile is made from."),
  shuffle: z
    .string()
    .default("adaptive")
    .describe("How many cold and hot batches take turns: a policy of kind recsys.rate."),
  order: choice(["cold-first", "hot-first"]).default("cold-first").describe("Which batches begin a round."),
});

/** Options of FAE, defaults filled in. */
export type FaeOptions = z.output<typeof options>;

/** FAE in the registry. */
export const fae = definePolicy({
  kind: "recsys.strategy",
  name: "fae",
  summary:
    "Trains inputs whose rows are all hot in a compact memory, the others where all rows are, in turns.",
  source: "Adnan et al., VLDB 15(1), arXiv:2103.00686",
  options,
  create(given): StrategySetup {
    // A policy that does not exist is refused before any work.
    const rate = shuffleRatePolicies.parse(given.shuffle, "--strategy fae:shuffle").create();
    return {
      name: "fae",
      needsHostRows: true,
      create: (context) => createFae({ ...given, rate }, context),
    };
  },
});

/** What calibration depends on. */
export function faeConfig(
  { budget, sample }: Pick<FaeOptions, "budget" | "sample">,
  { hot, rowBytes, seed }: Pick<StrategyContext, "hot" | "rowBytes" | "seed">,
): FaeConfig {
  return { hot, budgetBytes: budget, rowBytes, sampleRate: sample, seed };
}

async function createFae(
  { rate, order, ...given }: FaeOptions & { rate: ShuffleRatePolicy },
  context: StrategyContext,
): Promise<TrainingStrategy> {
  const { train, fingerprint, batchSize, maxLookups, clock, onEvent, hostTables } = context;
  const config = faeConfig(given, context);
  const start = clock();
  const file = await prepareFaeFile({
    directory: join(train.directory, "..", `fae-${digest(config)}`),
    source: untilAborted(train, context.signal),
    layout: train.layout,
    datasetHash: fingerprint,
    config,
    onEvent,
  });
  onEvent({ event: "span", span: "calibrate", start, end: clock() });
  let state = context.saved as FaeState | undefined;
  if (state !== undefined && !FaeStrategy.fits(file, state)) {
    restart(onEvent, "other hot rows", "their new choice");
    state = undefined;
  }
  return FaeStrategy.create({
    tables: hostTables(),
    createHotEmbeddings: context.createHotEmbeddings,
    file,
    batchSize,
    maxLookups,
    rate,
    order,
    clock,
    onEvent,
    ...(state !== undefined && { state }),
  });
}
