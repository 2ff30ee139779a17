/**
 * @file What a user chooses by name and sets by options: `name:key=value`, or `{ name, … }` from JSON. Policies and CTR
 * models are chosen so.
 */
import { z } from "zod";
import { ParetoError } from "../../base/errors.ts";
import { nearestName } from "../../base/nearestName.ts";
import { describeOptions } from "./describe.ts";
import type { OptionsSchema } from "./policy.ts";
import { readPolicyText } from "./policyText.ts";

/** What can be chosen. */
export interface Choosable {
  readonly name: string;
  readonly options: OptionsSchema;
}

/** Something as a user names it: text, or an object from JSON. */
export type ChoiceRequest = string | ({ name: string } & Readonly<Record<string, unknown>>);

/** What was chosen, with checked options. */
export interface Choice<Definition> {
  readonly definition: Definition;
  /** Every option, defaults filled in. */
  readonly options: Readonly<Record<string, unknown>>;
}

/** How errors speak of it. */
export interface ChoiceWords {
  /** E.g. `kv.evict policy`, `CTR model`. */
  noun: string;
  /** First word of the codes: `POLICY` gives `POLICY_UNKNOWN` and `POLICY_OPTION`. */
  code: string;
  /** The option or file at fault, e.g. `--kv`. */
  where: string;
}

/**
 * Finds what was asked for and checks its options.
 * @throws ParetoError `POLICY_TEXT` for a malformed text; `…_UNKNOWN` for a name that is not there; `…_OPTION` for an option
 * that it does not have or a value that the option does not take
 */
export function choose<Definition extends Choosable>(
  definitions: readonly Definition[],
  request: ChoiceRequest,
  words: ChoiceWords,
): Choice<Definition> {
  const { name, options } =
    typeof request === "string" ? readPolicyText(request, words.where) : separate(request);
  const definition = definitions.find((known) => known.name === name);
  if (definition === undefined) {
    throw unknownName(
      name,
      definitions.map((known) => known.name),
      words,
    );
  }
  const parsed = z.strictObject(definition.options.shape).safeParse(options);
  if (!parsed.success) throw badOption(definition, options, parsed.error, words);
  return { definition, options: parsed.data };
}

function separate({ name, ...options }: Exclude<ChoiceRequest, string>) {
  return { name, options: options as Record<string, unknown> };
}

function unknownName(
  name: string,
  names: readonly string[],
  { noun, code, where }: ChoiceWords,
): ParetoError {
  const nearest = nearestName(name, names);
  return new ParetoError({
    code: `${code}_UNKNOWN`,
    where,
    message: `there is no ${noun} of this name, got "${name}"`,
    fix: `${nearest === null ? "" : `Did you mean ${nearest}? `}Use one of ${names.join(", ")}.`,
  });
}

function badOption(
  { name, options: schema }: Choosable,
  given: Readonly<Record<string, unknown>>,
  error: z.ZodError,
  { code, where }: ChoiceWords,
): ParetoError {
  const known = describeOptions(schema);
  const issue = error.issues[0]!;
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0]!;
    const names = known.map((option) => option.name);
    const nearest = nearestName(key, names);
    return new ParetoError({
      code: `${code}_OPTION`,
      where: `${where} ${name}`,
      message: `${name} has no such option, got "${key}"`,
      fix:
        names.length === 0
          ? `Leave it out; ${name} has no options.`
          : `${nearest === null ? "" : `Did you mean ${nearest}? `}Its options are ${names.join(", ")}.`,
      cause: error,
    });
  }
  const key = String(issue.path[0] ?? "");
  const option = known.find((each) => each.name === key);
  const standard = option?.default ?? null;
  return new ParetoError({
    code: `${code}_OPTION`,
    where: `${where} ${name}:${key}`,
    message: `${lowerFirst(issue.message)} for ${key}, got ${JSON.stringify(given[key])}`,
    fix: `${key} takes ${option?.takes ?? "another value"}${standard === null ? "" : `; ${standard} by default`}.`,
    cause: error,
  });
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
