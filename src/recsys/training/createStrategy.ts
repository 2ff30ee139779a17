/** @file From settings to a strategy, at its start or where a checkpoint left it. */
import { join } from "node:path";
import type { PreparedDataset } from "../data/encode/prepareDataset.ts";
import type { OnEvent } from "../../run/events.ts";
import { BaselineStrategy, type BaselineState } from "../strategies/baseline.ts";
import { prepareFaeFile } from "../strategies/fae/faeFile.ts";
import { FaeStrategy, type FaeState } from "../strategies/fae/faeStrategy.ts";
import { bytesPerRow } from "../strategies/fae/rowBytes.ts";
import type { TrainingStrategy } from "../strategies/strategy.ts";
import type { ClickNetwork } from "./clickNetwork.ts";
import { digest } from "./digest.ts";
import { maxLookupsOf } from "./maxLookups.ts";
import type { ClickConfig } from "./clickConfig.ts";
import type { StrategyPosition } from "./clickTrainable.ts";
import { sparseOptimizer } from "./settings.ts";

/**
 * Makes the strategy that a run's settings name; FAE calibrates, or finds its file in the cache.
 * @param saved where the strategy of the checkpoint stood that the run goes on from
 */
export async function createStrategy(
  { settings }: ClickConfig,
  prepared: PreparedDataset,
  network: ClickNetwork,
  { clock, onEvent }: { clock: () => number; onEvent: OnEvent },
  saved: StrategyPosition | null,
): Promise<TrainingStrategy> {
  const { train } = prepared;
  const { batchSize, seed } = settings;
  let position = saved?.state;
  // Another strategy, or other hot rows, order the epoch differently: it begins anew.
  const beginAnew = (before: string, now: string): void => {
    position = undefined;
    const message = `The run was saved under ${before}; ${now} begins the epoch under way from its start.`;
    onEvent({ event: "notice", level: "info", code: "RESUME_STRATEGY", message });
  };
  if (saved && saved.name !== settings.strategy) beginAnew(saved.name, settings.strategy);
  if (settings.strategy === "baseline") {
    return new BaselineStrategy(network.tables, train, batchSize, position as BaselineState | undefined);
  }
  const start = clock();
  const faeConfig = {
    policy: settings.hotPolicy,
    budgetBytes: settings.hotBudgetBytes,
    rowBytes: bytesPerRow(sparseOptimizer(settings.optimizer), settings.dim),
    sampleRate: settings.sampleRate,
    seed,
  };
  const file = await prepareFaeFile({
    directory: join(train.directory, "..", `fae-${digest(faeConfig)}`),
    source: train,
    layout: train.layout,
    datasetHash: prepared.fingerprint,
    config: faeConfig,
    onEvent,
  });
  onEvent({ event: "span", span: "calibrate", start, end: clock() });
  if (position !== undefined && !FaeStrategy.fits(file, position as FaeState)) {
    beginAnew("other hot rows", "their new choice");
  }
  return FaeStrategy.create({
    tables: network.hostTables,
    createHotEmbeddings: (options) => network.createHotEmbeddings(options),
    file,
    batchSize,
    maxLookups: maxLookupsOf(train, batchSize),
    mode: settings.scheduler,
    shuffleRate: settings.shuffleRate,
    clock,
    onEvent,
    ...(position !== undefined && { state: position as FaeState }),
  });
}
