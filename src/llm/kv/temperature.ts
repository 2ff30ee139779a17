/**
 * @file The scoring temperature of Keyformer (arXiv 2403.09054): τ_t = τ_init + t · (τ_end − τ_init) / T.
 */
import { ParetoError } from "../../base/errors.ts";

/** A temperature that moves by `delta` a step from `start` and stops at `end`. */
export interface TemperatureLine {
  readonly start: number;
  readonly end: number;
  readonly delta: number;
}

/** The scoring temperature at a step: 0 is the prompt, 1 the first token decoded. */
export interface Temperature {
  (step: number): number;
  /** The same as data, for devices to follow; without it the host works each step's temperature out. */
  readonly line?: TemperatureLine;
}

/** The schedule's options. */
export interface TemperatureOptions {
  /** Temperature of the prompt; 1 when left out. */
  tauInit?: number;
  /** Temperature after `horizon` tokens and later; 2 when left out. */
  tauEnd?: number;
  /** Tokens to generate, T. Needed unless `tauDelta` is given or the temperature does not change. */
  horizon?: number;
  /** Change per token, in place of (τ_end − τ_init) / T; the temperature still stops at `tauEnd`. */
  tauDelta?: number;
}

/** The same temperature at each step. */
export function constantTemperature(tau: number): Temperature {
  return Object.assign(() => tau, { line: { start: tau, end: tau, delta: 0 } });
}

/**
 * The temperature at each step.
 * @throws ParetoError KV_TEMPERATURE for a temperature that is not above 0 or a missing or bad horizon
 */
export function temperatureSchedule(options: TemperatureOptions): Temperature {
  const start = options.tauInit ?? 1;
  const end = options.tauEnd ?? 2;
  for (const tau of [start, end]) {
    if (!(tau > 0 && tau < Infinity)) throw refuse(`a temperature is a number above 0, got ${tau}`);
  }
  if (start === end) return constantTemperature(start);
  const delta = options.tauDelta ?? (end - start) / horizonOf(options);
  if (!Number.isFinite(delta)) throw refuse(`a change of temperature is a finite number, got ${delta}`);
  const low = Math.min(start, end);
  const high = Math.max(start, end);
  const tau = (step: number) => Math.min(Math.max(start + step * delta, low), high);
  return Object.assign(tau, { line: { start, end, delta } });
}

function horizonOf({ horizon }: TemperatureOptions): number {
  if (horizon !== undefined && horizon >= 1) return horizon;
  throw refuse(`a horizon is a number of tokens of at least 1, got ${horizon}`);
}

function refuse(message: string): ParetoError {
  return new ParetoError({
    code: "KV_TEMPERATURE",
    where: "scoring temperature",
    message,
    fix: "Give tauInit and tauEnd above 0, and horizon as the number of tokens to generate.",
  });
}
