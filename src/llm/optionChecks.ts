/** @file Checks of numbers that callers give, in one wording: what an option must be, and what it was. */
import { ParetoError } from "../base/errors.ts";

/** What a number must be. */
export interface NumberRule {
  /** Least value. */
  min?: number;
  /** Greatest value. Defaults to the largest finite number, or whole number that is exact. */
  max?: number;
  /** The value is above this one. */
  above?: number;
  /** Defaults to false. */
  isWhole?: boolean;
}

function describe({ min, max, above, isWhole = false }: NumberRule): string {
  const limits = [
    ...(min === undefined ? [] : [`at least ${min}`]),
    ...(above === undefined ? [] : [`above ${above}`]),
    ...(max === undefined ? [] : [`at most ${max}`]),
  ];
  return [
    isWhole ? "a whole number" : "a finite number",
    ...(limits.length ? [limits.join(" and ")] : []),
  ].join(", ");
}

/** Whether a value is such a number. */
function isSuch(value: unknown, { min, max, above, isWhole = false }: NumberRule): boolean {
  if (typeof value !== "number" || !(isWhole ? Number.isSafeInteger(value) : Number.isFinite(value)))
    return false;
  return (
    (min === undefined || value >= min) &&
    (max === undefined || value <= max) &&
    (above === undefined || value > above)
  );
}

/**
 * Checks a number of an option.
 * @param where what was called
 * @param name of the option
 * @throws ParetoError LLM_OPTION
 */
export function requireNumber(where: string, name: string, value: unknown, rule: NumberRule): void {
  if (isSuch(value, rule)) return;
  throw new ParetoError({
    code: "LLM_OPTION",
    where,
    message: `${name} must be ${describe(rule)}, got ${typeof value === "string" ? JSON.stringify(value) : String(value)}`,
    fix: `Give ${name} such a number, or leave it out.`,
  });
}

/**
 * Checks several numbers, those that are undefined left out.
 * @throws ParetoError LLM_OPTION
 */
export function requireNumbers<T extends object>(
  where: string,
  values: T,
  rules: { readonly [K in keyof T]?: NumberRule },
): void {
  for (const [name, rule] of Object.entries(rules) as [keyof T & string, NumberRule][])
    if (values[name] !== undefined) requireNumber(where, name, values[name], rule);
}
