/** @file The check of a number of attention sinks: first tokens that a policy never evicts. */
import { ParetoError } from "../../base/errors.ts";

/** @throws ParetoError KV_SINKS unless the number is whole and at least 0 */
export function checkSinks(sinks: number): void {
  if (Number.isInteger(sinks) && sinks >= 0) return;
  throw new ParetoError({
    code: "KV_SINKS",
    where: "attention sinks",
    message: `sinks are a whole number of at least 0, got ${sinks}`,
    fix: "Give the number of first tokens to keep, such as 4.",
  });
}
