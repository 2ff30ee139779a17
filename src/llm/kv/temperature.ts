/**
 * @file The scoring temperature of Keyformer (arXiv 2403.09054): τ_t = τ_init + t · (τ_end − τ_init) / T.
 */
import { ParetoError } from "../../engine/errors.ts";

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

/**
 * The temperature at each step: 0 is the prompt, 1 the first token decoded.
 * @throws ParetoError KV_TEMPERATURE for a temperature that is not above 0 or a missing or bad horizon
 */
export function temperatureSchedule(options: TemperatureOptions): (step: number) => number {
  const start = options.tauInit ?? 1;
  const end = options.tauEnd ?? 2;
  for (const tau of [start, end]) {
    if (!(tau > 0 && tau < Infinity)) throw refuse(`a temperature is a number above 0, got ${tau}`);
  }
  if (start === end) return () => start;
  const delta = options.tauDelta ?? (end - start) / horizonOf(options);
  if (!Number.isFinite(delta)) throw refuse(`a change of temperature is a finite number, got ${delta}`);
  return (step) => {
    const tau = start + step * delta;
    return start < end ? Math.min(Math.max(tau, start), end) : Math.max(Math.min(tau, start), end);
  };
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
    fix: "give tauInit and tauEnd above 0, and horizon as the number of tokens to generate",
  });
}
