/** @file What a language model learns from and is tested on: batches that depend on a seed and a number alone. */

/** Some texts of one length, one after the other. */
export interface LmBatch {
  /** `[B · T]` */
  tokens: Int32Array;
  /** `[B · T]`: what comes after each token; −1 where it does not count. */
  targets: Int32Array;
}

/** How well some texts were predicted. */
export interface ScoredText {
  /** Sum of −ln p over the tokens that count. */
  loss: number;
  /** Tokens that count, and those of them that were the most probable. */
  tokens: number;
  right: number;
}

/** Texts for training and for tests. */
export interface LmData {
  /** Token ids are below this. */
  readonly vocabulary: number;
  /** `tokenizer.json` of these tokens. */
  readonly tokenizer: object;
  /** Tokens after which a text is over. */
  readonly eosTokenId: number;
  /** Of whatever was read, so that a resumed run can tell that it has changed. */
  readonly fingerprint: number;
  /**
   * Writes a batch of training.
   * @param first number of its first text among all that training sees
   * @param length of each text
   */
  fill(batch: LmBatch, first: number, length: number): void;
  /** Groups of texts for validation, e.g. one for each task, with T tokens each. */
  readonly validation: readonly ValidationGroup[];
}

/** Texts for validation. */
export interface ValidationGroup {
  readonly name: string;
  readonly length: number;
  readonly texts: number;
  /** Writes text `index` into row 0 of `tokens` and `targets` `[T]`. */
  fill(index: number, tokens: Int32Array, targets: Int32Array): void;
}
