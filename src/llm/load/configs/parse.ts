/** @file What the readers of `config.json` share. */
import { z } from "zod";
import { type Activation, ACTIVATION_NAMES, activationOf } from "../../models/activation.ts";
import { damagedModel, unsupported } from "../modelErrors.ts";

/** Most elements of an axis: more than any model has, and few enough for products of two to be exact. */
const MOST = 2 ** 24;
/** A size. */
export const count = z.int().min(1).max(MOST);
/** Heads. */
export const headCount = z
  .int()
  .min(1)
  .max(2 ** 16);
/** Positions: some models claim to have very many. */
export const positionCount = z
  .int()
  .min(1)
  .max(2 ** 31 - 1);
/** Layers: more than any model has, and few enough for their tensors to be named. */
export const layerCount = z.int().min(1).max(10_000);
/** A value that may be left out, or null for the same. */
export function orElse<T>(schema: z.ZodType<T>, value: T) {
  return schema.nullish().transform((given) => given ?? value);
}
/** `eos_token_id`: one, several, or null for none. */
const ends = z
  .union([z.int(), z.array(z.int())])
  .nullable()
  .transform((ids) => (ids === null ? [] : [ids].flat()));
/** The same, for a key that may be left out. */
export const eosTokenIds = ends.optional().transform((ids) => ids ?? []);
/** The same; a key that is left out stands for the token that transformers takes then. */
export const eosTokenIdsOr = (token: number) => ends.optional().transform((ids) => ids ?? [token]);

/** The activation of a name. @throws ParetoError LLM_UNSUPPORTED */
export function activationFrom(name: string, where: string): Activation {
  const found = activationOf(name);
  if (found) return found;
  throw unsupported(where, "this activation", name, ACTIVATION_NAMES.join(", "));
}

/** The width of a head. @throws ParetoError LLM_MODEL_DAMAGED when it is not a whole number */
export function headWidth(width: number, heads: number, where: string): number {
  if (width % heads === 0) return width / heads;
  throw damagedModel(where, "heads need a whole number of elements", width / heads);
}

/**
 * Reads the part of a configuration that a schema names.
 * @throws ParetoError LLM_MODEL_DAMAGED
 */
export function parse<T>(schema: z.ZodType<T>, json: unknown, where: string): T {
  const result = schema.safeParse(json);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const at = issue.path.join(".");
  const value = issue.path.reduce<unknown>((v, key) => (v as Record<PropertyKey, unknown>)?.[key], json);
  throw damagedModel(where, `${at}: ${issue.message}`, String(JSON.stringify(value)));
}
