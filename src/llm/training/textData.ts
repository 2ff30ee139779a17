/**
 * @file Text files as data: a byte-level BPE learned from them, all but the last tenth for training, the rest for
 * validation. Files are read in pieces, three times: their size is bounded by the memory that their tokens take, four
 * bytes each.
 */
import { crc32 } from "node:zlib";
import { ParetoError } from "../../base/errors.ts";
import { Rng } from "../../base/rng.ts";
import { textPieces } from "../text/textFile.ts";
import { TokenList } from "../text/tokenList.ts";
import {
  bpeTokenizer,
  END_OF_TEXT,
  learnBpe,
  WordCounts,
  WordEncoder,
  WordReader,
} from "../tokenizer/learnBpe.ts";
import type { LmData } from "./lmData.ts";
import type { Recipe } from "./recipe.ts";

const VALIDATION_SHARE = 0.1;
/** Keeps these draws apart from those of weights and dropout. */
const STREAM = 0x74000000;

/** Files as one text, a line break between two, in pieces of whole characters. */
async function* piecesOf(paths: readonly string[]): AsyncGenerator<string> {
  for (const [i, path] of paths.entries()) {
    if (i > 0) yield "\n";
    yield* textPieces(path);
  }
}

/** Characters of UTF-16, and a checksum of the text as UTF-8. @throws ParetoError LLM_TEXT_ENCODING and of files */
async function measure(paths: readonly string[]): Promise<{ length: number; fingerprint: number }> {
  let length = 0;
  let fingerprint = 0;
  for await (const piece of piecesOf(paths)) {
    length += piece.length;
    fingerprint = crc32(piece, fingerprint);
  }
  return { length, fingerprint };
}

/** The words of the part before a place, and of that behind it. No character is cut. */
async function eachWord(
  paths: readonly string[],
  split: number,
  onWord: (word: string, isBefore: boolean) => void,
  onPiece: (done: number) => void = () => {},
): Promise<void> {
  const before = new WordReader();
  const behind = new WordReader();
  const give = (reader: WordReader, text: string, isLast: boolean) => {
    for (const word of reader.read(text, isLast)) onWord(word, reader === before);
  };
  let read = 0;
  let isBefore = true;
  for await (const piece of piecesOf(paths)) {
    let place = Math.max(0, Math.min(piece.length, split - read));
    // Between two halves of a character it is moved behind them.
    if (place > 0 && place < piece.length && (piece.codePointAt(place - 1) ?? 0) > 0xffff) place++;
    if (isBefore) give(before, piece.slice(0, place), place < piece.length);
    if (place < piece.length) isBefore = false;
    if (!isBefore) give(behind, piece.slice(place), false);
    read += piece.length;
    onPiece(read);
  }
  give(before, "", true);
  give(behind, "", true);
}

/**
 * Reads text files and cuts them into tokens.
 * @param onProgress receives characters cut so far, and in all
 * @throws ParetoError `LLM_TEXT_SHORT`, `LLM_TEXT_ENCODING`, `LLM_TEXT_CHANGED`, `FILE_MISSING`, `FILE_REFUSED`
 */
export async function textData(
  paths: readonly string[],
  vocabulary: number,
  { seed, stages, validation }: Pick<Recipe, "seed" | "stages" | "validation">,
  onProgress?: (done: number, total: number, unit: "characters") => void,
): Promise<LmData> {
  const { length, fingerprint } = await measure(paths);
  const split = Math.floor(length * (1 - VALIDATION_SHARE));
  // The words of the part for validation are not learned from.
  const counts = new WordCounts();
  await eachWord(paths, split, (word, isBefore) => isBefore && counts.add(word));
  const bpe = learnBpe(counts, vocabulary);
  const encoder = new WordEncoder(bpe);
  const [train, held] = [new TokenList(), new TokenList()];
  let done = 0;
  await eachWord(
    paths,
    split,
    (word, isBefore) => {
      const list = isBefore ? train : held;
      for (const token of encoder.encode(word)) list.push(token);
    },
    (read) => {
      done = read;
      onProgress?.(done, length, "characters");
    },
  );
  if (done !== length) throw changed(paths, length, done);
  const longest = Math.max(...stages.map((stage) => stage.length));
  requireTokens(paths, train.length, longest + 1);
  requireTokens(paths, held.length, validation.length + 1);
  const texts = Math.min(validation.texts, Math.floor((held.length - 1) / validation.length));
  return {
    vocabulary: bpe.tokens.length,
    tokenizer: bpeTokenizer(bpe),
    eosTokenId: END_OF_TEXT,
    fingerprint,
    fill: ({ tokens, targets }, first, length) => {
      const rng = new Rng(seed, STREAM + first);
      for (let at = 0; at < tokens.length; at += length) {
        const start = rng.integer(train.length - length);
        train.copy(start, tokens.subarray(at, at + length));
        train.copy(start + 1, targets.subarray(at, at + length));
      }
    },
    validation: [
      {
        name: "text",
        length: validation.length,
        texts,
        fill: (index, tokens, targets) => {
          const start = index * validation.length;
          held.copy(start, tokens.subarray(0, validation.length));
          held.copy(start + 1, targets.subarray(0, validation.length));
        },
      },
    ],
  };
}

function changed(paths: readonly string[], length: number, received: number): ParetoError {
  return new ParetoError({
    code: "LLM_TEXT_CHANGED",
    where: paths.join(", "),
    message: `the files had ${length} characters when they were first read, got ${received}`,
    fix: "Train on files that nothing writes to.",
  });
}

function requireTokens(paths: readonly string[], tokens: number, least: number): void {
  if (tokens >= least) return;
  throw new ParetoError({
    code: "LLM_TEXT_SHORT",
    where: paths.join(", "),
    message: `training and validation (the last tenth) need ${least} tokens of text each, got ${tokens}`,
    fix: "Give more text, or shorter stages in the recipe.",
  });
}
