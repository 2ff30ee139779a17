/**
 * @file Scores of cached entries from rows of attention logits, on the host.
 *
 * Follows Keyformer (MLSys 2024): a row is softmax((x + ζ) / τ) over the keys that the query sees, taken apart from the
 * softmax of the model's output, and rows add up. Sums of a row are float64, the scores float32. A logit of −∞ (a
 * masked or padded key) scores 0 and takes no noise.
 */
import { ParetoError } from "../../base/errors.ts";
import type { PairNoise } from "./noise.ts";
import type { AttentionScoring } from "./policy.ts";

/** Where a row's logits lie: `group` runs of `visible` logits, `stride` apart, from `offset`. */
export interface LogitRow {
  kvHead: number;
  /** Position of the query in the whole sequence. */
  queryPosition: number;
  /** Logits after scale, bias and mask, a run for each query head of the group, in order of slot. */
  logits: Float32Array | Float64Array;
  /** First logit; 0 when left out. */
  offset?: number;
  /** Elements between the runs of two query heads; `visible` when left out. */
  stride?: number;
  /** How many slots the query sees; all live ones when left out. */
  visible?: number;
}

/** Turns rows of logits into scores for one layer of one sequence. */
export class ScoreRows {
  readonly #scoring: AttentionScoring;
  readonly #group: number;
  readonly #noise: PairNoise;
  readonly #layer: number;
  #head = new Float64Array(0);
  #row = new Float64Array(0);

  /** @param group query heads a KV head */
  constructor(scoring: AttentionScoring, group: number, noise: PairNoise, layer: number) {
    this.#scoring = scoring;
    this.#group = group;
    this.#noise = noise;
    this.#layer = layer;
  }

  /** What a sum over the query heads of a group is multiplied by. */
  get share(): number {
    return this.#scoring.groupReduce === "mean" ? 1 / this.#group : 1;
  }

  /** What a score is multiplied by before a decoded token's row is added. */
  get damping(): number {
    return this.#scoring.rows === "last" ? 0 : (this.#scoring.damping ?? 1);
  }

  /**
   * Position of the first query whose row the scores need; the rest need not be handed over.
   * @param isPrefilling a prompt or a turn, else decoding
   * @param prefillTokens tokens of the sequence at the end of that read
   */
  first(isPrefilling: boolean, prefillTokens: number): number {
    const { rows, window } = this.#scoring;
    if (rows === "accumulate" || (rows === "last" && !isPrefilling)) return 0;
    if (rows === "last") return prefillTokens - 1;
    return isPrefilling ? prefillTokens - (window?.(prefillTokens) ?? 1) : Infinity;
  }

  /**
   * Adds a row to the scores of its KV head.
   * @param step of the temperature
   * @param isPrefilling a prompt or a turn, else decoding
   * @throws ParetoError KV_LOGITS_NOT_FINITE for a logit that is NaN or +∞
   */
  add(
    row: LogitRow,
    positions: Int32Array,
    scores: Float32Array,
    length: number,
    { step, isPrefilling }: { step: number; isPrefilling: boolean },
  ): void {
    const visible = row.visible ?? length;
    if (this.#row.length < visible) {
      this.#row = new Float64Array(2 * visible);
      this.#head = new Float64Array(2 * visible);
    }
    const total = this.#row;
    total.fill(0, 0, visible);
    const { groupReduce } = this.#scoring;
    for (let member = 0; member < this.#group; member++) {
      this.#softmax(row, member, positions, visible, step);
      const head = this.#head;
      if (groupReduce === "max") {
        for (let slot = 0; slot < visible; slot++) total[slot] = Math.max(total[slot]!, head[slot]!);
      } else {
        for (let slot = 0; slot < visible; slot++) total[slot]! += head[slot]!;
      }
    }
    const { share } = this;
    const kept = isPrefilling && this.#scoring.rows !== "last" ? 1 : this.damping;
    for (let slot = 0; slot < visible; slot++) scores[slot] = kept * scores[slot]! + share * total[slot]!;
  }

  /** One query head's row into `#head`. */
  #softmax(row: LogitRow, member: number, positions: Int32Array, visible: number, step: number): void {
    const { logits, queryPosition } = row;
    const { noise, noiseReuse, temperature } = this.#scoring;
    const queryHead = row.kvHead * this.#group + member;
    const noiseQuery = noiseReuse === "fresh" ? queryPosition : 0;
    const heat = temperature(step);
    const from = (row.offset ?? 0) + member * (row.stride ?? visible);
    const head = this.#head;
    let most = -Infinity;
    for (let slot = 0; slot < visible; slot++) {
      const logit = logits[from + slot]!;
      if (Number.isNaN(logit) || logit === Infinity) this.#refuse(logit, queryHead, queryPosition);
      const noisy =
        logit === -Infinity
          ? logit
          : (logit + this.#noise.sample(noise, queryHead, noiseQuery, positions[slot]!)) / heat;
      head[slot] = noisy;
      if (noisy > most) most = noisy;
    }
    if (most === -Infinity) {
      head.fill(0, 0, visible);
      return;
    }
    let sum = 0;
    for (let slot = 0; slot < visible; slot++) sum += head[slot] = Math.exp(head[slot]! - most);
    for (let slot = 0; slot < visible; slot++) head[slot]! /= sum;
  }

  #refuse(logit: number, head: number, query: number): never {
    throw new ParetoError({
      code: "KV_LOGITS_NOT_FINITE",
      where: `layer ${this.#layer}, head ${head}, query ${query}`,
      message: `an attention logit must be a number below infinity, got ${logit}`,
      fix: "Check the model's weights for values that overflow, or compute in float32.",
    });
  }
}
