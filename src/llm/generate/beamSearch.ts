/**
 * @file The bookkeeping of one beam search, with no model: it is given logits and says which beams go on, and from
 * which.
 *
 * The rules are those of Hugging Face's `generate(num_beams=N, early_stopping=True)` with a length penalty of 1. A step
 * takes the best 2N continuations of all beams by their summed log-probability (more where a model has several end
 * tokens). Of the best N of these, those that end are finished, and are ranked by their mean log-probability, the end
 * token included. The best N that do not end go on. The search is over when N sequences are finished or all have their
 * length. Sums are float64; of equals the one of the earlier beam, then of the lower token, comes first.
 */
import { largest, logSumExp } from "./logits.ts";

/** When a search is over. */
export interface BeamSearchOptions {
  beams: number;
  maxNewTokens: number;
  /** Tokens after which a sequence is over; they are not given. */
  eosTokenIds: readonly number[];
}

/** How the beams go on: each by a token, behind one of the beams before. */
interface BeamStep {
  /** Places among the beams before, in their order: the only one after the prompt. */
  parents: number[];
  tokens: number[];
}

/** A sequence that a search found. */
interface BeamResult {
  tokens: number[];
  /** The mean log-probability of its tokens, the end token included. */
  score: number;
  finishReason: "stop" | "length";
}

/** A sequence's last token, and the sequence before it. */
interface Node {
  token: number;
  before: Node | null;
}

interface Beam {
  text: Node | null;
  /** Sum of log-probabilities. */
  sum: number;
}

interface Candidate {
  beam: number;
  token: number;
  sum: number;
}

/** One search. */
export class BeamSearch {
  readonly #options: BeamSearchOptions;
  readonly #ends: ReadonlySet<number>;
  #live: Beam[] = [{ text: null, sum: 0 }];
  #finished: BeamResult[] = [];
  #count = 0;

  constructor(options: BeamSearchOptions) {
    this.#options = options;
    this.#ends = new Set(options.eosTokenIds);
  }

  /**
   * Chooses the next tokens.
   * @param logits `[beams, vocabulary]` in the order of the step before; `[1, vocabulary]` after the prompt
   * @returns what goes on; null when the search is over
   * @throws ParetoError LLM_LOGITS
   */
  next(logits: Float32Array): BeamStep | null {
    const { beams, maxNewTokens } = this.#options;
    const candidates = this.#best(logits, Math.max(2, 1 + this.#ends.size) * beams);
    this.#count++;
    const isLast = this.#count >= maxNewTokens;
    for (const candidate of candidates.slice(0, beams)) {
      if (isLast || this.#ends.has(candidate.token)) this.#finish(candidate);
    }
    // Of equals the earlier one stays: sorting is stable.
    this.#finished = this.#finished.sort((a, b) => b.score - a.score).slice(0, beams);
    if (isLast || this.#finished.length === beams) {
      this.#live = [];
      return null;
    }
    const going = candidates.filter(({ token }) => !this.#ends.has(token)).slice(0, beams);
    this.#live = going.map(({ beam, token, sum }) => ({
      text: { token, before: this.#live[beam]!.text },
      sum,
    }));
    return { parents: going.map(({ beam }) => beam), tokens: going.map(({ token }) => token) };
  }

  /** The best sequence: of those that are finished, or the best beam where none is. */
  get best(): BeamResult {
    const [finished] = this.#finished;
    if (finished) return finished;
    const { text, sum } = this.#live[0]!;
    return { tokens: tokensOf(text), score: sum / Math.max(1, this.#count), finishReason: "length" };
  }

  #finish({ beam, token, sum }: Candidate): void {
    const before = this.#live[beam]!.text;
    const isEnd = this.#ends.has(token);
    this.#finished.push({
      tokens: tokensOf(isEnd ? before : { token, before }),
      score: sum / this.#count,
      finishReason: isEnd ? "stop" : "length",
    });
  }

  /** The `most` best continuations, best first. */
  #best(logits: Float32Array, most: number): Candidate[] {
    const vocabulary = logits.length / this.#live.length;
    const best = this.#live.flatMap(({ sum }, beam): Candidate[] => {
      const row = logits.subarray(beam * vocabulary, (beam + 1) * vocabulary);
      const offset = sum - logSumExp(row);
      return largest(row, most).map((token) => ({ beam, token, sum: offset + row[token]! }));
    });
    // Of equals the earlier one stays first: sorting is stable.
    return best.sort((a, b) => b.sum - a.sum).slice(0, most);
  }
}

function tokensOf(text: Node | null): number[] {
  const tokens: number[] = [];
  for (let node = text; node; node = node.before) tokens.push(node.token);
  return tokens.reverse();
}
