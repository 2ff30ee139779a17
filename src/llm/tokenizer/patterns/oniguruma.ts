/**
 * @file Patterns of a `tokenizer.json` as JavaScript's: Oniguruma's syntax for Ruby, which tokenizers has, brought to the
 * same matches, or refused by the part that cannot be.
 *
 * `^` and `$` are the ends of lines, `.` is all but a line feed, classes are Unicode's (version 16), `X*+` and `(?>X)` are
 * atomic. Back references, conditionals, recursion, absent groups, callouts, `(?x)`, `\G`, `\K`, `\R` and `\X` are refused.
 */
import { POSIX_WORD, SPACE, UNASSIGNED, unicodeClass, WORD } from "../unicode/classes.ts";

/** A part of a pattern that has no equal in JavaScript, or that is no pattern at all. */
export class PatternError extends Error {
  /** @param part as it stands in the pattern */
  constructor(part: string) {
    super(part);
    this.name = "PatternError";
  }
}

/** A pattern for the flags `gv`, and how it may be run. */
export interface Translated {
  readonly source: string;
  /** Whether a repetition is repeated, or several follow each other, so that matching may take long. */
  readonly isRisky: boolean;
}

const START_OF_TEXT = "(?<![^])";
const END_OF_TEXT = "(?![^])";
const HEX_DIGIT = "[0-9a-fA-F]";

const POSIX: Readonly<Record<string, string>> = {
  alpha: unicodeClass("Alphabetic"),
  digit: unicodeClass("Nd"),
  alnum: `[${unicodeClass("Alphabetic")}${unicodeClass("Nd")}]`,
  upper: unicodeClass("Uppercase"),
  lower: unicodeClass("Lowercase"),
  space: SPACE,
  blank: "[\\p{Zs}\\t]",
  cntrl: "\\p{Cc}",
  punct: `[${unicodeClass("P")}${unicodeClass("S")}]`,
  graph: `[^\\p{Cc}\\p{Cs}${SPACE}${UNASSIGNED}]`,
  print: `[[^\\p{Cc}\\p{Cs}${UNASSIGNED}]--[\\u2028\\u2029]]`,
  xdigit: HEX_DIGIT,
  word: POSIX_WORD,
  ascii: "[\\0-\\x7f]",
};

const CATEGORIES = new Set(
  "C Cc Cf Cn Co L LC Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z Zl Zp Zs".split(
    " ",
  ),
);
const LONG_CATEGORIES: Readonly<Record<string, string>> = {
  letter: "L",
  mark: "M",
  number: "N",
  punctuation: "P",
  symbol: "S",
  separator: "Z",
  other: "C",
};

/** Texts that fold to other numbers of characters without regard to case; Oniguruma matches those too. */
const LONG_FOLDS = /ss|ff|fi|fl|st|[\u00df\u0130\u0149\u01f0\u0390\u03b0\u0587\u1e96-\u1e9e\ufb00-\ufb17]/i;

const literal = (character: string) => `\\u{${character.codePointAt(0)!.toString(16)}}`;
const negated = (set: string) => `[^${set}]`;

/** The class that `\p{…}` names. */
function property(name: string): string {
  const bare = name.replaceAll(/[ _-]/g, "").toLowerCase();
  const posix = POSIX[bare];
  if (posix !== undefined) return posix;
  if (bare === "any") return "[^]";
  if (bare === "assigned") return negated(UNASSIGNED);
  const long = LONG_CATEGORIES[bare];
  if (long !== undefined) return unicodeClass(long);
  const category = [...CATEGORIES].find((known) => known.toLowerCase() === bare);
  if (category !== undefined) return unicodeClass(category);
  const spelled = name.replace(/^./, (first) => first.toUpperCase());
  try {
    const set = unicodeClass(`Script=${spelled}`);
    // A script that Unicode does not have is an error here.
    return new RegExp(set, "v").source;
  } catch {
    throw new PatternError(`\\p{${name}}`);
  }
}

class Translator {
  readonly #pattern: string;
  #at = 0;
  #atomics = 0;
  #ignoresCase = false;
  isRisky = false;

  constructor(pattern: string) {
    this.#pattern = pattern;
  }

  translate(): string {
    const { source } = this.#alternatives();
    if (this.#at < this.#pattern.length) throw new PatternError(")");
    return source;
  }

  get #next(): string {
    return this.#at < this.#pattern.length ? String.fromCodePoint(this.#pattern.codePointAt(this.#at)!) : "";
  }

  #take(): string {
    const character = this.#next;
    if (character === "") throw new PatternError(this.#pattern);
    this.#at += character.length;
    return character;
  }

  #takes(text: string): boolean {
    const takes = this.#pattern.startsWith(text, this.#at);
    if (takes) this.#at += text.length;
    return takes;
  }

  /** Takes what a pattern matches here, all of it. */
  #takeMatch(pattern: RegExp): RegExpExecArray | null {
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#pattern);
    if (match !== null) this.#at += match[0].length;
    return match;
  }

  #alternatives(): { source: string; repeats: number } {
    const ignoresCase = this.#ignoresCase;
    let source = "";
    let most = 0;
    let repeats = 0;
    while (this.#at < this.#pattern.length && this.#next !== ")") {
      if (this.#takes("|")) {
        source += "|";
        repeats = 0;
        continue;
      }
      if (this.#takes("(?i)")) {
        // It holds to the end of the group, over its alternatives.
        this.#ignoresCase = true;
        const rest = this.#alternatives();
        source += `(?i:${rest.source})`;
        most = Math.max(most, repeats + rest.repeats);
        continue;
      }
      const one = this.#quantified();
      source += one.source;
      repeats += one.repeats;
      most = Math.max(most, repeats);
      if (most > 2) this.isRisky = true;
    }
    this.#ignoresCase = ignoresCase;
    return { source, repeats: most };
  }

  /** An atom with what repeats it. */
  #quantified(): { source: string; repeats: number } {
    const isGroup = this.#next === "(";
    let { source, repeats } = this.#atom();
    for (;;) {
      const from = this.#at;
      const match = this.#takeMatch(/[*+?]|\{(\d*)(,?)(\d*)\}/y);
      if (match === null || (match[0].startsWith("{") && match[1] === "" && match[3] === "")) {
        // Braces that are no quantifier stand for themselves.
        this.#at = from;
        return { source, repeats };
      }
      const [all, low, comma, high] = match;
      const quantifier = all.startsWith("{") ? `{${low === "" ? "0" : low!}${comma!}${high!}}` : all;
      const most =
        all === "?"
          ? 1
          : all.startsWith("{")
            ? Number(high === "" && comma === "" ? low : high || Infinity)
            : Infinity;
      if (most > 1 && (isGroup || repeats > 0)) this.isRisky = true;
      if (most === Infinity) repeats++;
      if (all.startsWith("{")) {
        if (this.#next === "?" && comma === "") throw new PatternError(`${all}?`);
        source = `(?:${source})${quantifier}${this.#takes("?") ? "?" : ""}`;
      } else if (this.#takes("+")) source = this.#atomic(`(?:${source})${quantifier}`);
      else source = `(?:${source})${quantifier}${this.#takes("?") ? "?" : ""}`;
    }
  }

  /** Matches the first way or not at all: a lookahead keeps only its first way. */
  #atomic(source: string): string {
    const name = `atomic${this.#atomics++}`;
    return `(?=(?<${name}>${source}))\\k<${name}>`;
  }

  #atom(): { source: string; repeats: number } {
    const plain = (source: string) => ({ source, repeats: 0 });
    const character = this.#take();
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        return plain(this.#class());
      case ".":
        return plain("[^\\n]");
      case "^":
        return plain(`(?:${START_OF_TEXT}|(?<=\\n)(?=[^]))`);
      case "$":
        return plain("(?![^\\n])");
      case "\\":
        return plain(this.#escape(false));
      case "*":
      case "+":
      case "?":
        throw new PatternError(character);
      default:
        this.#checkFold();
        return plain(literal(character));
    }
  }

  /** Refuses what Oniguruma would match by folding one character to several. */
  #checkFold(): void {
    if (this.#ignoresCase && LONG_FOLDS.test(this.#pattern.slice(this.#at - 1, this.#at + 1)))
      throw new PatternError(`(?i) with ${this.#pattern.slice(this.#at - 1, this.#at + 1)}`);
  }

  #group(): { source: string; repeats: number } {
    const from = this.#at;
    const isAtomic = this.#takes("?>");
    const opening = isAtomic
      ? null
      : this.#takeMatch(/\?(?:[:=!]|<[=!])|\?<[A-Za-z_]\w*>|\?(i?)(?:-(i?))?:/y);
    if (!isAtomic && opening === null && this.#next === "?")
      throw new PatternError(`(${this.#pattern.slice(from, from + 3)}`);
    const before = this.#ignoresCase;
    const flags = opening !== null && /^\?(?:i|-i|i-)/.test(opening[0]);
    if (flags) this.#ignoresCase = opening[2] === "i" ? false : opening[1] === "i" || before;
    const { source, repeats } = this.#alternatives();
    this.#ignoresCase = before;
    if (!this.#takes(")")) throw new PatternError(`(${this.#pattern.slice(from)}`);
    if (isAtomic) return { source: this.#atomic(source), repeats };
    // A capture, named or not, captures nothing that is used.
    if (opening === null || (opening[0].startsWith("?<") && !/^\?<[=!]/.test(opening[0])))
      return { source: `(?:${source})`, repeats };
    return { source: `(${opening[0]}${source})`, repeats };
  }

  /** An escape. @param inClass whether it stands between brackets */
  #escape(inClass: boolean): string {
    const from = this.#at - 1;
    const character = this.#take();
    const word = inClass ? null : this.#boundary(character);
    if (word !== null) return word;
    // Between brackets \w is without the digits ²³¹¼½¾, which it has elsewhere.
    const sets: Record<string, string> = {
      d: unicodeClass("Nd"),
      D: negated(unicodeClass("Nd")),
      w: inClass ? POSIX_WORD : WORD,
      W: negated(inClass ? POSIX_WORD : WORD),
      s: SPACE,
      S: negated(SPACE),
      h: HEX_DIGIT,
      H: negated(HEX_DIGIT),
    };
    const set = sets[character];
    if (set !== undefined) return set;
    if (character === "p" || character === "P") {
      const match = this.#takeMatch(/\{(\^?)([A-Za-z][A-Za-z _-]*)\}/y);
      if (match === null) throw new PatternError(this.#pattern.slice(from, this.#at + 4));
      const isNegated = (match[1] === "^") !== (character === "P");
      return isNegated ? negated(property(match[2]!)) : property(match[2]!);
    }
    return literal(this.#escaped(character, from));
  }

  #boundary(character: string): string | null {
    const edge = `(?:(?<=${WORD})(?!${WORD})|(?<!${WORD})(?=${WORD}))`;
    switch (character) {
      case "b":
        return edge;
      case "B":
        return `(?!${edge})`;
      case "A":
        return START_OF_TEXT;
      case "z":
        return END_OF_TEXT;
      case "Z":
        return `(?=\\n?${END_OF_TEXT})`;
      default:
        return null;
    }
  }

  /** The character that an escape stands for. */
  #escaped(character: string, from: number): string {
    const controls: Record<string, string> = {
      n: "\n",
      r: "\r",
      t: "\t",
      f: "\f",
      v: "\v",
      a: "\x07",
      e: "\x1b",
    };
    const control = controls[character];
    if (control !== undefined) return control;
    if (character === "x" || character === "u") {
      const pattern =
        character === "u" ? /([0-9a-fA-F]{4})/y : /\{([0-9a-fA-F]{1,6})\}|([0-7][0-9a-fA-F])(?![0-9a-fA-F])/y;
      const match = this.#takeMatch(pattern);
      const point = Number.parseInt(match?.[1] ?? match?.[2] ?? "", 16);
      if (!(point <= 0x10ffff)) throw new PatternError(this.#pattern.slice(from, this.#at + 4));
      return String.fromCodePoint(point);
    }
    if (/[0-9A-Za-z]/.test(character)) throw new PatternError(`\\${character}`);
    return character;
  }

  /** What stands between brackets, the first one taken. */
  #class(): string {
    const isNegated = this.#takes("^");
    const operands: string[] = [];
    let union = "";
    let last: string | null = null;
    for (let isFirst = true; ; isFirst = false) {
      if (this.#at >= this.#pattern.length) throw new PatternError("[");
      if (this.#next === "]" && !isFirst) break;
      if (this.#takes("&&")) {
        operands.push(`[${union}]`);
        [union, last] = ["", null];
        continue;
      }
      if (
        last !== null &&
        this.#next === "-" &&
        !/[\][]|&&/y.test(this.#pattern.slice(this.#at + 1, this.#at + 2))
      ) {
        this.#at++;
        const end = this.#member();
        if (end.character === null) throw new PatternError("-");
        union = `${union.slice(0, union.length - literal(last).length)}${literal(last)}-${literal(end.character)}`;
        last = null;
        continue;
      }
      const { source, character } = this.#member();
      union += source;
      last = character;
    }
    this.#at++;
    operands.push(`[${union}]`);
    const all = operands.length === 1 ? union : operands.join("&&");
    return `[${isNegated ? "^" : ""}${all}]`;
  }

  /** A member of a class. `character` is null where it is a class itself. */
  #member(): { source: string; character: string | null } {
    const posix = this.#takeMatch(/\[:(\^?)([a-z]+):\]/y);
    if (posix !== null) {
      const set = POSIX[posix[2]!];
      if (set === undefined) throw new PatternError(posix[0]);
      return { source: posix[1] === "^" ? negated(set) : set, character: null };
    }
    const character = this.#take();
    if (character === "[") return { source: this.#class(), character: null };
    if (character !== "\\") return { source: literal(character), character };
    const source = this.#escape(true);
    const point = /^\\u\{([0-9a-f]+)\}$/.exec(source);
    return {
      source,
      character: point === null ? null : String.fromCodePoint(Number.parseInt(point[1]!, 16)),
    };
  }
}

/** Brings a pattern to JavaScript. @throws PatternError */
export function translatePattern(pattern: string): Translated {
  const translator = new Translator(pattern);
  const source = translator.translate();
  try {
    return { source: new RegExp(source, "gv").source, isRisky: translator.isRisky };
  } catch {
    throw new PatternError(pattern);
  }
}

/** A text as a pattern that matches it alone. */
export function literalPattern(text: string): Translated {
  return { source: Array.from(text, literal).join(""), isRisky: false };
}
