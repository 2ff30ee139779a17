/** @file Learning rates as functions of how far training has come. */

/** Always the same rate. */
interface ConstantRate {
  kind: "constant";
  base: number;
}

/** From the base to 0 in a straight line over so many steps, or in time for an end by the clock. */
interface LinearRate {
  kind: "linear";
  base: number;
  steps: number;
}

/** A linear rise over the first steps, then half a cosine to a share of the base. */
interface CosineRate {
  kind: "cosine";
  base: number;
  warmupSteps: number;
  /** Share of the base that is left at the end. */
  last: number;
}

/** Times `factor` whenever `patience` more epochs have passed without a better validation metric. */
export interface PlateauRate {
  kind: "plateau";
  base: number;
  factor: number;
  patience: number;
}

/** How the learning rate changes. */
export type LearningRateSchedule = ConstantRate | LinearRate | CosineRate | PlateauRate;

/** How far training has come. */
export interface TrainingProgress {
  /** The step that is to come, from 1. */
  step: number;
  /** Share of training that lies before it, by steps or by the clock. */
  share: number;
  /** Times that a plateau has lowered the rate. */
  reductions: number;
}

/** The learning rate of a step. */
export function learningRateAt(
  schedule: LearningRateSchedule,
  { step, share, reductions }: TrainingProgress,
): number {
  switch (schedule.kind) {
    case "constant":
      return schedule.base;
    case "linear": {
      const { base, steps } = schedule;
      // Whole steps, unless the clock is ahead of them.
      const at = share > step / steps ? share * steps : step;
      return polynomialDecay({ base, warmupSteps: 0, decayStart: 0, decaySteps: steps, power: 1 }, at);
    }
    case "cosine":
      return cosineWithWarmup(schedule, step, share);
    case "plateau":
      return schedule.base * schedule.factor ** reductions;
  }
}

/** Half a cosine from 1 to `last`, times a linear rise over `warmupSteps` (Loshchilov and Hutter, ICLR'17, without restarts). */
export function cosineWithWarmup(
  { base, warmupSteps, last }: Omit<CosineRate, "kind">,
  step: number,
  share: number,
): number {
  const cosine = last + (1 - last) * 0.5 * (1 + Math.cos(Math.PI * share));
  return base * cosine * Math.min(1, step / Math.max(1, warmupSteps));
}

/** Linear warm-up, then constant, then polynomial decay to a floor. */
export interface PolynomialDecay {
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
export function polynomialDecay(decay: PolynomialDecay, step: number): number {
  const { base, warmupSteps, decayStart, decaySteps, power } = decay;
  if (step < warmupSteps) return base * (1 - (warmupSteps - step) / warmupSteps);
  if (decaySteps === 0 || step < decayStart) return base;
  const left = Math.max(1, decaySteps - (step - decayStart));
  return Math.max(FLOOR, base * (left / decaySteps) ** power);
}
