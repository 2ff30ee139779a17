/**
 * @file The cost model of FAE: what it should gain, from the share of hot inputs and the time of a step in each
 * memory. With h the hot share, ρ = t_hot / t_cold and s the time spent on synchronising over that of an all-cold
 * epoch, the speed-up is 1 / ((1 − h) + h·ρ + s).
 */
import { ShuffleScheduler, syncCount } from "./scheduler.ts";
import { fixedRate } from "./shuffleRate.ts";

/** Where the time of a mini-batch goes, seconds; a hot batch has no copies. */
export interface StepTimes {
  gather: number;
  copyIn: number;
  dense: number;
  copyOut: number;
  scatter: number;
}

/** What a machine was measured to take. */
export interface MeasuredCost {
  cold: StepTimes;
  hot: StepTimes;
  /** Rate at which rows move between the two memories, bytes a second. */
  syncBytesPerSecond: number;
}

/** The run to predict. */
export interface PlannedRun {
  /** Training inputs an epoch. */
  inputs: number;
  batchSize: number;
  /** Shuffle rate, percent. */
  shuffleRate: number;
  /** Share of the inputs that are hot (h). */
  hotInputShare: number;
  /** Bytes of the hot rows with their optimizer state: what one synchronisation moves. */
  hotBytes: number;
}

/** What FAE is expected to gain. */
export interface Prediction {
  hotInputShare: number;
  /** ρ: seconds of a hot batch over seconds of a cold one. */
  hotToCold: number;
  syncsPerEpoch: number;
  syncBytesPerEpoch: number;
  /** s: seconds of synchronising over seconds of an all-cold epoch. */
  syncShare: number;
  /** Over training every batch in the cold memory. */
  speedup: number;
}

/** `1 / ((1 − h) + h·ρ + s)`. */
export function predictedSpeedup(hotInputShare: number, hotToCold: number, syncShare: number): number {
  return 1 / (1 - hotInputShare + hotInputShare * hotToCold + syncShare);
}

/** Predicts a run at a constant shuffle rate; the adaptive scheduler starts there and moves either way. */
export function predictRun(run: PlannedRun, cost: MeasuredCost): Prediction {
  const hotInputs = Math.round(run.inputs * run.hotInputShare);
  const hotBatches = Math.ceil(hotInputs / run.batchSize);
  const coldBatches = Math.ceil((run.inputs - hotInputs) / run.batchSize);
  const syncsPerEpoch = epochSyncs(coldBatches, hotBatches, run.shuffleRate);
  const syncBytesPerEpoch = syncsPerEpoch * run.hotBytes;
  const coldSeconds = stepSeconds(cost.cold);
  const hotToCold = stepSeconds(cost.hot) / coldSeconds;
  const epochSeconds = Math.max(1, coldBatches + hotBatches) * coldSeconds;
  const syncShare = syncBytesPerEpoch / cost.syncBytesPerSecond / epochSeconds;
  const speedup = predictedSpeedup(run.hotInputShare, hotToCold, syncShare);
  return {
    hotInputShare: run.hotInputShare,
    hotToCold,
    syncsPerEpoch,
    syncBytesPerEpoch,
    syncShare,
    speedup,
  };
}

function stepSeconds(times: StepTimes): number {
  return times.gather + times.copyIn + times.dense + times.copyOut + times.scatter;
}

function epochSyncs(coldBatches: number, hotBatches: number, shuffleRate: number): number {
  const scheduler = new ShuffleScheduler({ coldBatches, hotBatches, rate: fixedRate(shuffleRate) });
  const segments = [];
  for (const segment of scheduler.segments()) {
    segments.push(segment);
    scheduler.completed(segment.count);
  }
  return syncCount(segments);
}
