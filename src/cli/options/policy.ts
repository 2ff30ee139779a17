/** @file Values of options that name a policy: the text `name:key=value`, or in a configuration file an object too. */
import { z } from "zod";
import { splitPolicyList, writePolicyText } from "../../run/policies/policyText.ts";
import { text } from "./spec.ts";

const plain = z.union([z.string(), z.number(), z.boolean()]);
const asObject = z.looseObject({ name: z.string() }).catchall(plain);

function toText(given: unknown): unknown {
  const read = asObject.safeParse(given);
  if (!read.success) return given;
  const { name, ...options } = read.data;
  return writePolicyText(name, options);
}

/** A policy as text. The command that takes it parses it by the registry of its kind. */
export const policyText = z.preprocess(toText, text);

/** Policies between commas, or an array of policies or of such lists. @param where the flag, for errors */
export function policyTextList(where: string) {
  const split = (given: unknown) => (typeof given === "string" ? splitPolicyList(given, where) : [given]);
  return z.preprocess(
    (given) =>
      Array.isArray(given) ? given.flatMap(split) : typeof given === "string" ? split(given) : given,
    z.array(policyText).min(1, "expected one or more"),
  );
}
