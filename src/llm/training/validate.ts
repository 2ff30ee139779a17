/** @file How well a model in training predicts texts that it has not seen. */
import type { ScoredText, ValidationGroup } from "./lmData.ts";
import type { LmNetwork } from "./lmNetwork.ts";

/** Quality on a group of texts. */
export interface GroupQuality {
  name: string;
  /** Mean of −ln p over the tokens that count. */
  loss: number;
  /** Share of tokens that were the most probable. */
  accuracy: number;
  /** Share of texts in which all were. */
  right: number;
}

/** Quality on all groups. */
export interface Validation {
  groups: GroupQuality[];
  /** Means over the groups. */
  loss: number;
  accuracy: number;
}

const sumOf = (texts: readonly ScoredText[], part: keyof ScoredText): number =>
  texts.reduce((sum, text) => sum + text[part], 0);
const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length;

/** Scores every group. @param signal ends the work: its reason is thrown */
export async function validate(
  network: Pick<LmNetwork, "score">,
  groups: readonly ValidationGroup[],
  signal?: AbortSignal,
): Promise<Validation> {
  const qualities: GroupQuality[] = [];
  for (const group of groups) {
    const texts = await network.score(group, signal);
    const tokens = sumOf(texts, "tokens");
    qualities.push({
      name: group.name,
      loss: sumOf(texts, "loss") / tokens,
      accuracy: sumOf(texts, "right") / tokens,
      right: texts.filter((text) => text.right === text.tokens).length / texts.length,
    });
  }
  return {
    groups: qualities,
    loss: mean(qualities.map(({ loss }) => loss)),
    accuracy: mean(qualities.map(({ accuracy }) => accuracy)),
  };
}
