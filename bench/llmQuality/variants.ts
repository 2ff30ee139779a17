/** @file Keyformer with one option changed at a time, as the paper's ablations have it. */
import { keyformer, type KeyformerOptions } from "../../src/llm/kv/policies/keyformer.ts";
import { fullVariant, type Variant } from "../../src/llm/eval/variants.ts";

/** The variant that changes nothing. */
export const DEFAULT_VARIANT = "as the paper has it";

/** What is changed, as tables show it. */
const variants: readonly [name: string, options: Partial<KeyformerOptions>][] = [
  [DEFAULT_VARIANT, {}],
  ["noise gaussian", { noise: "gaussian" }],
  ["noise constant", { noise: "constant" }],
  ["noise none", { noise: "none" }],
  ["noise expected", { noise: "expected" }],
  ["noise once a key", { noiseReuse: "per-key" }],
  ["τ 1→1", { tauEnd: 1 }],
  ["τ 2→2", { tauInit: 2 }],
  ["τ 1→4", { tauEnd: 4 }],
  ...[0, 10, 20, 50, 70, 100].map((percent): [string, Partial<KeyformerOptions>] => [
    `recent ${percent} %`,
    { recent: { share: percent / 100 } },
  ]),
  ["scores shared by layers", { scope: "shared" }],
  ["new positions", { positions: "new" }],
  ...[0.975, 0.95, 0.9, 0.875].map((damping): [string, Partial<KeyformerOptions>] => [
    `damping ${damping}`,
    { damping },
  ]),
  ["4 sinks", { sinks: 4 }],
  ["the authors' masks", { mode: "reference-mask" }],
];

/** All of them at every budget, after the full cache. */
export function variantArms(budgets: readonly number[]): Variant[] {
  const arms = variants.flatMap(([policy, options]) =>
    budgets.map((budget): Variant => ({
      policy,
      budget,
      make: (horizon) => keyformer({ budget: { share: budget }, horizon, ...options }),
    })),
  );
  return [fullVariant, ...arms];
}
