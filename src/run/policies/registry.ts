/**
 * @file All policies of one kind by name. It reads `name:key=value` or `{ name, … }` from JSON, checks the options by
 * the policy's schema and makes the policy.
 */
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { nearestName } from "../../base/nearestName.ts";
import type { PolicyDefinition, PolicyKind } from "./policy.ts";
import { readPolicyText, type PolicyText } from "./policyText.ts";

/** A policy as a user names it: text, or an object from JSON. */
export type PolicyRequest = string | ({ name: string } & Readonly<Record<string, unknown>>);

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
   * The policy that a user asked for.
   * @param where the option or file at fault in errors, e.g. `--kv`
   * @throws ParetoError POLICY_TEXT, POLICY_UNKNOWN for a name that is not registered, POLICY_OPTION for an option that the
   *   policy does not have or a value that it does not take
   */
  parse(request: PolicyRequest, where: string): PolicyChoice<Made, Context> {
    const { name, options } =
      typeof request === "string" ? readPolicyText(request, where) : separate(request);
    const definition = this.definitions.find((known) => known.name === name);
    if (definition === undefined) throw unknownPolicy(this.kind, name, this.names, where);
    const parsed = z.strictObject(definition.options.shape).safeParse(options);
    if (!parsed.success) throw badOption(definition, options, parsed.error, where);
    return {
      definition,
      options: parsed.data,
      create: (context) => definition.create(parsed.data, context),
    };
  }
}

function separate({ name, ...options }: Exclude<PolicyRequest, string>): PolicyText {
  return { name, options };
}

function unknownPolicy(kind: PolicyKind, name: string, names: readonly string[], where: string): ParetoError {
  const nearest = nearestName(name, names);
  return new ParetoError({
    code: "POLICY_UNKNOWN",
    where,
    message: `there is no ${kind} policy of this name, got "${name}"`,
    fix: `${nearest === null ? "" : `Did you mean ${nearest}? `}Use one of ${names.join(", ")}.`,
  });
}

function badOption(
  definition: Pick<PolicyDefinition<never>, "name" | "options">,
  options: Readonly<Record<string, unknown>>,
  error: z.ZodError,
  where: string,
): ParetoError {
  const { name } = definition;
  const known = Object.keys(definition.options.shape);
  const issue = error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const nearest = nearestName(key, known);
    return new ParetoError({
      code: "POLICY_OPTION",
      where: `${where} ${name}`,
      message: `${name} has no such option, got "${key}"`,
      fix:
        known.length === 0
          ? "Leave it out; this policy has no options."
          : `${nearest === null ? "" : `Did you mean ${nearest}? `}Its options are ${known.join(", ")}.`,
      cause: error,
    });
  }
  const key = String(issue.path[0] ?? "");
  return new ParetoError({
    code: "POLICY_OPTION",
    where: `${where} ${name}:${key}`,
    message: `${lowerFirst(issue.message)} for ${key}, got ${JSON.stringify(options[key])}`,
    fix: `Run \`pareto policies\` to see what ${key} takes, or leave it out.`,
    cause: error,
  });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
