/** @file What of a request is refused when it is made: numbers that cannot be, and choices that would be ignored. */
import { ParetoError } from "../../base/errors.ts";
import { Sampler } from "../generate/sampler.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { type NumberRule, requireNumber, requireNumbers } from "../optionChecks.ts";
import type { GenerateRequest, TokenRequest } from "./request.ts";

/** A number of tokens. */
export const TOKENS: NumberRule = { min: 1, isWhole: true };
const TOKENS_OR_NONE: NumberRule = { min: 0, isWhole: true };

/**
 * Checks the numbers of a request.
 * @param where what was called
 * @throws ParetoError LLM_OPTION
 */
export function requireRequest(
  where: string,
  request: TokenRequest & Pick<GenerateRequest, "beams" | "cachedNewTokens" | "noise">,
  { vocabSize }: Pick<DecoderConfig, "vocabSize">,
): void {
  const { maxNewTokens, beams = 1, noise = {}, sampling, stopTokenIds = [], forced = [] } = request;
  if (!Array.isArray(request.prompt)) {
    throw new ParetoError({
      code: "LLM_OPTION",
      where,
      message: `prompt must be a list of tokens, got ${typeof request.prompt}`,
      fix: "Encode the text with the model's tokenizer.",
    });
  }
  requireNumber(where, "maxNewTokens", maxNewTokens, TOKENS);
  requireNumbers(where, request, { beams: TOKENS, cachedNewTokens: TOKENS_OR_NONE });
  requireNumbers(
    where,
    { "noise.seed": noise.seed, "noise.stream": noise.stream },
    {
      "noise.seed": TOKENS_OR_NONE,
      "noise.stream": { ...TOKENS_OR_NONE, max: 0xffffffff },
    },
  );
  for (const token of stopTokenIds) requireNumber(where, "a stop token", token, TOKENS_OR_NONE);
  for (const token of forced)
    requireNumber(where, "a forced token", token, { min: 0, max: vocabSize - 1, isWhole: true });
  const sampler = new Sampler(sampling);
  if (beams === 1 || sampler.isGreedy) return;
  throw new ParetoError({
    code: "LLM_OPTION",
    where,
    message: `beams take the most probable tokens as they are, got ${beams} beams with sampling ${JSON.stringify(sampling)}`,
    fix: "Leave sampling or beams out.",
  });
}
