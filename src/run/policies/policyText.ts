/**
 * @file How a policy with options is written as text: `name` or `name:key=value,key=value`. A value that holds a comma or
 * is itself such a text stands in parentheses: `slipstream:over=(hotline:budget=256MiB,ways=8)`.
 */
import { ParetoError } from "../../base/errors.ts";

/** A name and the texts of its options, not yet checked. */
export interface PolicyText {
  name: string;
  options: Record<string, unknown>;
}

/**
 * Splits a text into its name and options.
 * @param where names the option or place for errors, e.g. `--kv`
 * @throws ParetoError POLICY_TEXT for a text of another form, or a key written twice
 */
export function readPolicyText(text: string, where: string): PolicyText {
  const [, name, rest] = /^([^\s:=,()]+)(?::(.*))?$/s.exec(text.trim()) ?? [];
  if (name === undefined) throw malformed("expected name or name:key=value,key=value", text, where);
  const options: Record<string, unknown> = {};
  for (const part of rest === undefined ? [] : splitAtCommas(rest, text, where)) {
    const at = part.indexOf("=");
    const key = part.slice(0, at).trim();
    if (at < 1 || key === "") throw malformed(`expected key=value in "${part}"`, text, where);
    if (Object.hasOwn(options, key)) throw malformed(`"${key}" is given twice`, text, where);
    options[key] = withoutParentheses(part.slice(at + 1).trim());
  }
  return { name, options };
}

/** The text that {@link readPolicyText} reads back; plain values only. */
export function writePolicyText(name: string, options: Readonly<Record<string, unknown>>): string {
  const parts = Object.entries(options)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${/[,()]/.test(String(value)) ? `(${String(value)})` : String(value)}`);
  return parts.length === 0 ? name : `${name}:${parts.join(",")}`;
}

/**
 * Splits a list of policy texts at its commas: what stands behind a comma is a further option of the policy before it
 * where it has an equals sign ahead of any colon, else a policy of its own. `window,keyformer:noise=none,sinks=4,h2o` is
 * three policies.
 * @throws ParetoError POLICY_TEXT
 */
export function splitPolicyList(text: string, where: string): string[] {
  const policies: string[] = [];
  for (const part of splitAtCommas(text, text, where)) {
    if (/^[^:(]*=/.test(part) && policies.length > 0) policies.push(`${policies.pop()!},${part}`);
    else policies.push(part.trim());
  }
  return policies.filter((policy) => policy !== "");
}

function splitAtCommas(rest: string, text: string, where: string): string[] {
  const parts: string[] = [];
  let [depth, from] = [0, 0];
  for (let at = 0; at <= rest.length; at++) {
    if (rest[at] === "(") depth++;
    else if (rest[at] === ")" && --depth < 0) break;
    else if (at === rest.length || (rest[at] === "," && depth === 0)) {
      parts.push(rest.slice(from, at));
      from = at + 1;
    }
  }
  if (depth !== 0) throw malformed("parentheses do not match", text, where);
  return parts;
}

function withoutParentheses(value: string): string {
  return value.startsWith("(") && value.endsWith(")") ? value.slice(1, -1) : value;
}

function malformed(what: string, text: string, where: string): ParetoError {
  return new ParetoError({
    code: "POLICY_TEXT",
    where,
    message: `${what}, got "${text}"`,
    fix: "Write the name alone, or its options behind a colon, e.g. keyformer:budget=50%,sinks=4.",
  });
}
