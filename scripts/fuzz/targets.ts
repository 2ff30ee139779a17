/** @file Every reader that is fuzzed, by name. */
import { clickTargets } from "./targets/clicks.ts";
import { llmTargets } from "./targets/llm.ts";
import { optionTargets } from "./targets/options.ts";
import { proteinTargets } from "./targets/protein.ts";
import { runTargets } from "./targets/run.ts";
import type { FuzzTarget } from "./target.ts";

/** In the order in which they are fuzzed. */
export const FUZZ_TARGETS: readonly FuzzTarget[] = [
  ...proteinTargets,
  ...llmTargets,
  ...optionTargets,
  ...runTargets,
  ...clickTargets,
];

/** @throws Error for a name that no reader has */
export function fuzzTarget(name: string): FuzzTarget {
  const found = FUZZ_TARGETS.find((target) => target.name === name);
  if (found) return found;
  const names = FUZZ_TARGETS.map((target) => target.name).join(", ");
  throw new Error(`no reader has this name; use one of: ${names}; got "${name}"`);
}
