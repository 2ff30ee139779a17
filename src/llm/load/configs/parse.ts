/** @file What the readers of `config.json` share. */
import { z } from "zod";
import type { DecoderConfig } from "../../models/decoder.ts";
import { damagedModel, unsupported } from "../modelErrors.ts";

/** A size. */
export const count = z.int().min(1);
/** Layers: more than any model has, and few enough for their tensors to be named. */
export const layerCount = count.max(10_000);
/** `eos_token_id`: one, several or none. */
export const eosTokenIds = z
  .union([z.int(), z.array(z.int())])
  .nullish()
  .transform((ids) => (ids === null || ids === undefined ? [] : [ids].flat()));

/** GELU by the names that `activation_function` has for it. */
const gelus: Readonly<Record<string, DecoderConfig["activation"]>> = {
  gelu: "gelu",
  gelu_new: "geluTanh",
  gelu_fast: "geluTanh",
  gelu_pytorch_tanh: "geluTanh",
};

/** @throws ParetoError LLM_UNSUPPORTED */
export function geluOf(name: string, where: string): DecoderConfig["activation"] {
  const found = gelus[name];
  if (found) return found;
  throw unsupported(where, "this activation", name, Object.keys(gelus).join(", "));
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
