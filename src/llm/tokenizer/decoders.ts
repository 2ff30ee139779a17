/** @file Decoders of a `tokenizer.json`: from the names of tokens to their text. */
import { z } from "zod";
import { namedBytes } from "./byteLevel.ts";
import {
  makeOptional,
  makeSequence,
  oneCharacter,
  optionsOf,
  patternSchema,
  requireGrowth,
  type Makers,
  type Place,
} from "./component.ts";
import { patternOf, replaced } from "./normalizers.ts";
import { readMetaspace } from "./preTokenizers.ts";
import { wholeText } from "./text.ts";

/** Changes texts of tokens; in the end they are joined. */
export type Decoder = (tokens: readonly string[]) => string[];

const lossy = new TextDecoder("utf-8", { ignoreBOM: true });
const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });

/** Tokens of single bytes together as text; U+FFFD for each byte of a run that is no UTF-8. */
function byteFallback(tokens: readonly string[]): string[] {
  const out: string[] = [];
  let bytes: number[] = [];
  const flush = () => {
    if (bytes.length === 0) return;
    try {
      out.push(strict.decode(Uint8Array.from(bytes)));
    } catch {
      out.push(..."\uFFFD".repeat(bytes.length));
    }
    bytes = [];
  };
  for (const token of tokens) {
    const [, hex] = /^<0x([0-9a-fA-F]{2})>$/.exec(token) ?? [];
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16));
    else {
      flush();
      out.push(token);
    }
  }
  flush();
  return out;
}

/** Spaces that English is written without. */
const CLEANED = [
  [" .", "."],
  [" ?", "?"],
  [" !", "!"],
  [" ,", ","],
  [" ' ", "'"],
  [" n't", "n't"],
  [" 'm", "'m"],
  [" do not", " don't"],
  [" 's", "'s"],
  [" 've", "'ve"],
  [" 're", "'re"],
] as const;

const cleanUp = (text: string): string =>
  CLEANED.reduce((done, [from, to]) => done.replaceAll(from, () => to), text);

const stripOptions = z.object({ content: oneCharacter, start: z.int().min(0), stop: z.int().min(0) });

function strip(options: unknown, place: Place): Decoder {
  const { content, start, stop } = optionsOf(stripOptions, options, place);
  return (tokens) =>
    tokens.map((token) => {
      const characters = [...token];
      let from = 0;
      while (from < Math.min(start, characters.length) && characters[from] === content) from++;
      let to = characters.length;
      while (to > from && characters.length - to < stop && characters[to - 1] === content) to--;
      return characters.slice(from, to).join("");
    });
}

function wordPiece(options: unknown, place: Place): Decoder {
  const { prefix, cleanup } = optionsOf(
    z.object({ prefix: z.string(), cleanup: z.boolean() }),
    options,
    place,
  );
  return (tokens) =>
    tokens.map((token, i) => {
      const goesOn = token.startsWith(prefix);
      const text = i === 0 ? token : goesOn ? token.slice(prefix.length) : ` ${token}`;
      return cleanup ? cleanUp(text) : text;
    });
}

const ctcOptions = z.object({
  pad_token: z.string(),
  word_delimiter_token: z.string(),
  cleanup: z.boolean(),
});

function ctc(options: unknown, place: Place): Decoder {
  const { pad_token, word_delimiter_token, cleanup } = optionsOf(ctcOptions, options, place);
  return (tokens) =>
    tokens
      .filter((token, i) => i === 0 || token !== tokens[i - 1])
      .map((token) => {
        const text = token.replaceAll(pad_token, "");
        return cleanup ? cleanUp(text).replaceAll(word_delimiter_token, () => " ") : text;
      })
      .filter((text) => text !== "");
}

const MAKERS: Makers<Decoder> = {
  BPEDecoder: (options, place) => {
    const { suffix } = optionsOf(z.object({ suffix: z.string() }), options, place);
    return (tokens) =>
      tokens.map((token, i) => token.replaceAll(suffix, () => (i === tokens.length - 1 ? "" : " ")));
  },
  ByteFallback: () => byteFallback,
  ByteLevel: () => (tokens) => [lossy.decode(Buffer.concat(tokens.map(namedBytes)))],
  CTC: ctc,
  Fuse: () => (tokens) => [tokens.join("")],
  Metaspace: (options, place) => {
    const { replacement, scheme } = readMetaspace(options, place);
    return (tokens) =>
      tokens.map((token, i) =>
        token.replaceAll(replacement, () => (i === 0 && scheme !== "never" ? "" : " ")),
      );
  },
  Replace: (options, place) => {
    const schema = z.object({ pattern: patternSchema, content: z.string() });
    const { pattern, content } = optionsOf(schema, options, place);
    const compiled = patternOf(pattern, place);
    return (tokens) => tokens.map((token) => replaced(wholeText(token), compiled, content).text);
  },
  Sequence: (options, place) => {
    const all = makeSequence(MAKERS, "decoder", "decoders", options, place);
    const lengthOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + text.length, 0);
    return (tokens) =>
      all.reduce<string[]>(
        (texts, decode) => {
          const decoded = decode(texts);
          requireGrowth(lengthOf(tokens), lengthOf(decoded), place);
          return decoded;
        },
        [...tokens],
      );
  },
  Strip: strip,
  WordPiece: wordPiece,
};

/** The decoder of a tokenizer; without one, tokens are joined by spaces. @throws ParetoError LLM_UNSUPPORTED, LLM_MODEL_DAMAGED */
export function makeDecoder(config: unknown, file: string): (tokens: readonly string[]) => string {
  const decode = makeOptional(MAKERS, "decoder", config, { file, path: ["decoder"] });
  return decode === null ? (tokens) => tokens.join(" ") : (tokens) => decode(tokens).join("");
}
