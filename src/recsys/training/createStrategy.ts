/** @file From settings to a strategy, at its start or where a checkpoint left it. */
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import { rowFloats } from "../models/features.ts";
import { bytesPerRow } from "../strategies/fae/rowBytes.ts";
import { parseStrategy } from "../strategies/registry.ts";
import {
  restart,
  type StrategyContext,
  type StrategyPosition,
  type TrainingStrategy,
} from "../strategies/strategy.ts";
import type { ClickConfig } from "./clickConfig.ts";
import type { ClickNetwork } from "./clickNetwork.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import { sparseOptimizer } from "./settings.ts";

/**
 * Makes the strategy that a run's settings name.
 * @param saved where the strategy of the checkpoint stood that the run goes on from
 */
export async function createStrategy(
  { settings }: Pick<ClickConfig, "settings">,
  { train, fingerprint }: Pick<PreparedDataset, "train" | "fingerprint">,
  network: ClickNetwork,
  { clock, onEvent, signal }: Pick<StrategyContext, "clock" | "onEvent" | "signal">,
  saved: StrategyPosition | null,
): Promise<TrainingStrategy> {
  const { batchSize, seed, hot, optimizer } = settings;
  const setup = parseStrategy(settings.strategy);
  // Another strategy orders the epoch differently.
  if (saved && saved.name !== setup.name) restart(onEvent, saved.name, setup.name);
  return setup.create({
    train,
    fingerprint,
    tables: network.tables,
    hostTables: () => network.hostTables,
    createHotEmbeddings: (options) => network.createHotEmbeddings(options),
    hot,
    rowBytes: bytesPerRow(sparseOptimizer(optimizer), rowFloats(network.dense.model.inputs)),
    batchSize,
    maxLookups: maxLookupsOf(train, batchSize),
    seed,
    clock,
    onEvent,
    ...(signal && { signal }),
    ...(saved?.name === setup.name && { saved: saved.state }),
  });
}
