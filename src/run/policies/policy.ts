/**
 * @file A policy's definition: its kind, its name, its options with their meaning and default, where it is published,
 * and how it is made. A policy itself is a small pure object: it is given cheap statistics and answers with
 * decisions; it holds no device buffer. What it is asked depends on its kind, so each kind has an interface of its own.
 */
import type { z } from "zod";

/** What each kind of policy decides. */
export const POLICY_KINDS = {
  "kv.evict": "which tokens stay in a language model's KV cache",
  "recsys.model": "how a CTR model turns features into the logit of a click",
  "recsys.strategy": "which inputs train next, and from which memory their embedding rows are read",
  "recsys.hot": "which embedding rows are hot",
  "recsys.rate": "how many hot and cold batches take turns",
  "protein.threshold": "below which probability a protein's family is unknown",
} as const;

/** Kinds of policies. */
export type PolicyKind = keyof typeof POLICY_KINDS;

/** A schema of options: an object whose every key has a `describe`d meaning and a default. */
export type OptionsSchema = z.ZodObject<z.core.$ZodLooseShape>;

/**
 * One policy of a kind.
 * @typeParam Context what the caller knows when the policy is made, e.g. how many tokens will be generated
 * @typeParam Made the interface of the kind
 */
export interface PolicyDefinition<Made, Context = void, Options extends OptionsSchema = OptionsSchema> {
  readonly kind: PolicyKind;
  /** Lower case, as users write it. */
  readonly name: string;
  /** One sentence: what it keeps or chooses. */
  readonly summary: string;
  /** The publication and its section, or `ours`. */
  readonly source: string;
  /** The options; a strict object. */
  readonly options: Options;
  /** Makes the policy. @throws ParetoError where options do not fit together */
  readonly create: (options: z.output<Options>, context: Context) => Made;
}

/**
 * Checks a definition's types and hides its options' type, so that definitions of a kind can stand in one list.
 * {@link PolicyRegistry} parses the options by the schema before it calls `create`.
 */
export function definePolicy<Made, Context, Options extends OptionsSchema>(
  definition: PolicyDefinition<Made, Context, Options>,
): PolicyDefinition<Made, Context> {
  return definition as unknown as PolicyDefinition<Made, Context>;
}
