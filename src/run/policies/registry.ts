/**
 * @file All policies of one kind by name. It reads `name:key=value` or `{ name, … }` from JSON, checks the options by
 * the policy's schema and makes the policy.
 */
import { choose, type ChoiceRequest } from "./choose.ts";
import type { PolicyDefinition, PolicyKind } from "./policy.ts";
import { writePolicyText } from "./policyText.ts";

/** A policy's definition with checked options: what a run keeps, and makes its policy from. */
export interface PolicyChoice<Made, Context> {
  readonly definition: PolicyDefinition<Made, Context>;
  /** Every option, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
  /** Makes the policy. @throws ParetoError where options do not fit together */
  create(context: Context): Made;
}

/** The policies of a kind. */
export class PolicyRegistry<Made, Context = void> {
  readonly kind: PolicyKind;
  /** In the order that help shows them. */
  readonly definitions: readonly PolicyDefinition<Made, Context>[];

  constructor(kind: PolicyKind, definitions: readonly PolicyDefinition<Made, Context>[]) {
    this.kind = kind;
    this.definitions = definitions;
  }

  /** Names, in the order that help shows them. */
  get names(): string[] {
    return this.definitions.map(({ name }) => name);
  }

  /**
   * A policy's text with every option: two texts that mean the same become equal.
   * @throws ParetoError as {@link parse}
   */
  fullText(request: ChoiceRequest, where: string): string {
    const { definition, options } = this.parse(request, where);
    return writePolicyText(definition.name, options);
  }

  /**
   * The policy that a user asked for.
   * @param where the option or file at fault in errors, e.g. `--kv`
   * @throws ParetoError POLICY_TEXT, POLICY_UNKNOWN for a name that is not registered, POLICY_OPTION for an option that the
   *   policy does not have or a value that it does not take
   */
  parse(request: ChoiceRequest, where: string): PolicyChoice<Made, Context> {
    const words = { noun: `${this.kind} policy`, code: "POLICY", where };
    const { definition, options } = choose(this.definitions, request, words);
    return {
      definition,
      options,
      create: (context) => definition.create(options, context),
    };
  }
}
