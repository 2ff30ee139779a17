/**
 * @file The authors' published masking, told over again as a dense program: a score for each token seen, a mask with
 * one slot more, the last `recent` counted over the mask and the key tokens over the scores. No noise, one head.
 */
import { softmax } from "./denseOracle.ts";

/** Positions that each query after the prompt sees, itself included. */
export function authorsMask(
  logit: (query: number, key: number) => number,
  sizes: { promptTokens: number; newTokens: number; budget: number; recent: number },
  tau: (step: number) => number,
): number[][] {
  const { promptTokens, newTokens, budget, recent } = sizes;
  let score: number[] = [];
  let mask: boolean[] = [];
  const visible: number[][] = [];
  for (let step = 0; step <= newTokens; step++) {
    const length = promptTokens + step;
    const next = Array.from({ length }, (_, key) => score[key] ?? 0);
    for (let query = step === 0 ? 0 : length - 1; query < length; query++) {
      const row = Array.from({ length }, (_, key) =>
        key > query || (step > 0 && !mask[key]) ? -Infinity : logit(query, key) / tau(step),
      );
      for (const [key, weight] of softmax(row).entries()) next[key]! += weight;
    }
    score = next;
    const candidates = Array.from({ length: length - recent }, (_, key) => key);
    const chosen = new Set(
      candidates.sort((a, b) => score[b]! - score[a]! || a - b).slice(0, budget - recent),
    );
    mask = Array.from({ length: length + 1 }, (_, key) => {
      const wasVisible = step === 0 || key >= length || mask[key]!;
      return wasVisible && (chosen.has(key) || key >= length + 1 - recent);
    });
    score = score.map((value, key) => (mask[key] ? value : 0));
    visible.push([...mask.keys()].filter((key) => mask[key]));
  }
  return visible;
}
