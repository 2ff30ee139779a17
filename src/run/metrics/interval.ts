/**
 * @file Means of repeated measurements, such as one a seed, with 95 % intervals of Student's t; and two sets of
 * measurements compared in pairs. Pure.
 *
 * The intervals assume that measurements, or their differences, are about normal. With two or three of them the factor
 * of t is large (12.7, 4.3), so that intervals are wide: that is what so few measurements say.
 */
import { studentQuantile } from "../../base/quantiles.ts";

/** Share of such intervals that hold the true mean. */
const CONFIDENCE = 0.95;

/** A mean with its interval. */
export interface Estimate {
  mean: number;
  /** Null where there is one measurement. */
  low: number | null;
  high: number | null;
}

/** How two sets of measurements differ. */
export interface Contrast extends Estimate {
  /** What the mean is of: differences, in the unit of the measurements, or ratios, whose mean is the geometric one. */
  kind: "difference" | "ratio";
  /** Whether all pairs are equal. */
  isEqual: boolean;
  /** Whether the interval leaves out "no difference", 0 or a ratio of 1; null where there is one pair. */
  isSignificant: boolean | null;
}

/** The mean of measurements with its interval; null where there are none. */
export function meanInterval(values: readonly number[]): Estimate | null {
  const n = values.length;
  if (n === 0) return null;
  const mean = values.reduce((sum, value) => sum + value, 0) / n;
  if (n === 1) return { mean, low: null, high: null };
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const half = studentQuantile((1 + CONFIDENCE) / 2, n - 1) * Math.sqrt(variance / n);
  return { mean, low: mean - half, high: mean + half };
}

/**
 * Compares measurements in pairs: of the same seed, each.
 * @param pairs measurements, each after the one that it is compared to
 * @returns null where there are no pairs, or a ratio is of a number that is not positive
 */
export function pairedContrast(
  kind: Contrast["kind"],
  pairs: readonly (readonly [reference: number, value: number])[],
): Contrast | null {
  const isEqual = pairs.every(([reference, value]) => value === reference);
  if (kind === "difference") {
    const found = meanInterval(pairs.map(([reference, value]) => value - reference));
    return found && contrast(kind, found, isEqual, 0);
  }
  if (pairs.some(([reference, value]) => !(reference > 0 && value > 0))) return null;
  const found = meanInterval(pairs.map(([reference, value]) => Math.log(value / reference)));
  if (found === null) return null;
  const { mean, low, high } = found;
  const ratios = {
    mean: Math.exp(mean),
    low: low === null ? null : Math.exp(low),
    high: high === null ? null : Math.exp(high),
  };
  return contrast(kind, ratios, isEqual, 1);
}

function contrast(kind: Contrast["kind"], found: Estimate, isEqual: boolean, none: number): Contrast {
  const { low, high } = found;
  const isSignificant = low === null || high === null ? null : none < low || none > high;
  return { kind, ...found, isEqual, isSignificant };
}
