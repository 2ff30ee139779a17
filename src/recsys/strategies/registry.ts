/** @file All training strategies by name. A new strategy is a file or folder beside this one, and a line here. */
import { PolicyRegistry } from "../../run/policies/registry.ts";
import { baseline } from "./baseline.ts";
import { fae } from "./fae/faeDefinition.ts";
import type { StrategyParser, StrategySetup } from "./strategy.ts";

/** The strategies, in the order that help shows them. */
export const strategyPolicies = new PolicyRegistry<StrategySetup, StrategyParser>("recsys.strategy", [
  baseline,
  fae,
]);

/**
 * The strategy that a user asked for, as text.
 * @param where the option or file at fault in errors
 * @throws ParetoError `POLICY_TEXT`, `POLICY_UNKNOWN`, `POLICY_OPTION`
 */
export function parseStrategy(text: string, where = "--strategy"): StrategySetup {
  return strategyPolicies.parse(text, where).create((inner) => parseStrategy(inner, where));
}
