/**
 * @file The cost model of FAE: what it should gain, from the share of hot inputs and the time of a step in each
 * memory. With h the hot share, ρ = t_hot / t_cold and s the share of time spent on synchronising, the speed-up
 * is 1 / ((1 − h) + h·ρ + s).
 */

/** Where the time of a mini-batch goes. All in seconds; `t = gather + copyIn + dense + copyOut + scatter`. */
export interface StepTimes {
  gather: number;
  copyIn: number;
  dense: number;
  copyOut: number;
  scatter: number;
}

/** Seconds of a mini-batch. */
export function stepSeconds(times: StepTimes): number {
  return times.gather + times.copyIn + times.dense + times.copyOut + times.scatter;
}

/**
 * Predicted speed-up over training every batch in the cold memory.
 * @param hotInputShare h, in [0, 1]
 * @param hotToCold ρ: seconds of a hot batch over seconds of a cold one
 * @param syncShare s: seconds of synchronising over seconds of an all-cold epoch
 */
export function predictedSpeedup(hotInputShare: number, hotToCold: number, syncShare: number): number {
  return 1 / (1 - hotInputShare + hotInputShare * hotToCold + syncShare);
}
