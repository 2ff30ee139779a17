/**
 * @file Where a pattern of a tokenizer matches in a text, within a bound of time: a pattern that backtracks without end is
 * stopped and named.
 */
import vm from "node:vm";
import { ParetoError } from "../../../base/errors.ts";
import { literalPattern, PatternError, translatePattern, type Translated } from "./oniguruma.ts";
import { unsupported } from "../../load/modelErrors.ts";

/** Milliseconds for a text, and for each of its UTF-16 units: some hundred times what patterns of models need. */
const LIMIT = { text: 2000, unit: 0.02 };
/** UTF-16 units of a text on which no pattern without repeated repetitions takes long. A guard costs 0.2 ms. */
const SHORT = 256;

/** Runs a function that is stopped after a time. */
class Guard {
  readonly #realm = vm.createContext({ run: () => this.#work() });
  readonly #script = new vm.Script("run()");
  #work: () => unknown = () => null;

  /** @returns null where the time was over */
  run<T>(milliseconds: number, work: () => T): T | null {
    this.#work = work;
    try {
      return this.#script.runInContext(this.#realm, { timeout: Math.ceil(milliseconds) }) as T;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ERR_SCRIPT_EXECUTION_TIMEOUT") return null;
      throw error;
    }
  }
}

const splitsPair = (text: string, at: number): boolean =>
  /[\ud800-\udbff][\udc00-\udfff]/.test(text.slice(Math.max(0, at - 1), at + 1));

let guard: Guard | null = null;

/** A pattern of a tokenizer. */
export class TokenizerPattern {
  readonly #regex: RegExp;
  readonly #isRisky: boolean;
  readonly #where: string;
  readonly #written: string;

  private constructor({ source, isRisky }: Translated, where: string, written: string) {
    this.#regex = new RegExp(source, "gv");
    this.#isRisky = isRisky;
    this.#where = where;
    this.#written = written;
  }

  /** A text. */
  static literal(text: string, where: string): TokenizerPattern {
    return new TokenizerPattern(literalPattern(text), where, text);
  }

  /** A regular expression of Oniguruma's syntax. @throws ParetoError LLM_UNSUPPORTED */
  static regex(pattern: string, where: string): TokenizerPattern {
    try {
      return new TokenizerPattern(translatePattern(pattern), where, pattern);
    } catch (error) {
      if (!(error instanceof PatternError)) throw error;
      const known = "a pattern without back references, conditions, recursion and absent groups";
      throw unsupported(where, `a part of the pattern ${pattern}`, error.message, known);
    }
  }

  /**
   * Where it matches, from left to right. An empty match counts unless it follows another at once; an
   * empty text has none.
   * @throws ParetoError LLM_PATTERN_TIME
   */
  matches(text: string): [start: number, end: number][] {
    if (!this.#isRisky && text.length <= SHORT) return this.#find(text);
    const limit = LIMIT.text + LIMIT.unit * text.length;
    const found = (guard ??= new Guard()).run(limit, () => this.#find(text));
    if (found !== null) return found;
    throw new ParetoError({
      code: "LLM_PATTERN_TIME",
      where: this.#where,
      message: `the tokenizer's pattern ${this.#written} must end within ${Math.round(limit)} ms on a text of ${text.length} characters, got no end`,
      fix: "Use a tokenizer whose patterns do not backtrack without end, or shorter texts.",
    });
  }

  #find(text: string): [start: number, end: number][] {
    const found: [number, number][] = [];
    if (text === "") return found;
    let from = 0;
    let before = -1;
    while (from <= text.length) {
      this.#regex.lastIndex = from;
      const match = this.#regex.exec(text);
      if (match === null) break;
      const end = match.index + match[0].length;
      // V8 looks for empty matches between the halves of a surrogate pair, too.
      if (splitsPair(text, match.index)) {
        from = match.index + 1;
        continue;
      }
      if (match.index === end && end === before) {
        from += (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
        before = -1;
        continue;
      }
      found.push([match.index, end]);
      from = end;
      before = end;
    }
    return found;
  }
}
