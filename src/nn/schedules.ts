/** @file Learning rates as functions of the step. */

/** Linear warm-up, then constant, then polynomial decay to a floor. */
export interface LearningRateSchedule {
  base: number;
  /** Steps of linear warm-up. */
  warmupSteps: number;
  /** Step at which the decay begins. */
  decayStart: number;
  /** Steps of decay; 0 for none. */
  decaySteps: number;
  /** Exponent of the decay: 2 is DLRM's policy, 1 is linear. */
  power: number;
}

/** Lowest rate that the decay reaches. */
const FLOOR = 1e-7;

/**
 * The rate at a step counted from 1: `base·(1 − (warmup − s)/warmup)` before `warmupSteps`,
 * `base·((decaySteps − (s − decayStart))/decaySteps)^power` during the decay, frozen at its last value afterwards
 * (facebookresearch/dlrm, LRPolicyScheduler, at power 2).
 */
export function learningRateAt(schedule: LearningRateSchedule, step: number): number {
  const { base, warmupSteps, decayStart, decaySteps, power } = schedule;
  if (step < warmupSteps) return base * (1 - (warmupSteps - step) / warmupSteps);
  if (decaySteps === 0 || step < decayStart) return base;
  const left = Math.max(1, decaySteps - (step - decayStart));
  return Math.max(FLOOR, base * (left / decaySteps) ** power);
}
