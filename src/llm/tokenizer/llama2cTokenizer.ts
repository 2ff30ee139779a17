/**
 * @file The tokenizer of llama2.c: a file of an int32, the longest token's bytes, and for each token a float32 score,
 * an int32 length and that many bytes. Text is split into characters and the pair of neighbours whose join has the
 * best score is joined until none can be, as SentencePiece's BPE does; characters that are no token become bytes.
 */
import { readFile } from "node:fs/promises";
import { fileError } from "../../base/fileErrors.ts";
import { damagedModel } from "../load/modelErrors.ts";
import { joinPairs, type Joins } from "./joinPairs.ts";
import type { Tokenizer } from "./tokenizer.ts";

const BEGIN = 1;
/** Tokens 0, 1 and 2 are special; 256 bytes follow. */
const FIRST_BYTE = 3;

interface Vocabulary {
  pieces: Buffer[];
  scores: Float32Array;
}

function readVocabulary(bytes: Buffer, size: number, path: string): Vocabulary {
  const pieces: Buffer[] = [];
  const scores = new Float32Array(size);
  let at = 4;
  for (let token = 0; token < size; token++) {
    if (at + 8 > bytes.length)
      throw damagedModel(path, `the tokenizer must have ${size} tokens`, `the file's end after ${token}`);
    scores[token] = bytes.readFloatLE(at);
    const length = bytes.readInt32LE(at + 4);
    if (length < 0 || at + 8 + length > bytes.length)
      throw damagedModel(path, `token ${token} must have a length within the file`, length);
    pieces.push(bytes.subarray(at + 8, at + 8 + length));
    at += 8 + length;
  }
  if (at !== bytes.length)
    throw damagedModel(path, `a tokenizer of ${size} tokens must have ${at} bytes`, bytes.length);
  return { pieces, scores };
}

/** The joins of pieces: of two tokens the token of their texts, the best score first. */
function joinsOf(idOf: ReadonlyMap<string, number>, { pieces, scores }: Vocabulary): Joins {
  const texts = pieces.map((piece) => piece.toString("latin1"));
  const ranks = new Map(
    [...new Set(scores)].sort((a, b) => b - a).map((score, rank): [number, number] => [score, rank]),
  );
  const order = Int32Array.from(scores, (score) => ranks.get(score)!);
  return {
    find: (left, right) => idOf.get(texts[left]! + texts[right]!) ?? -1,
    order: (id) => order[id]!,
    token: (id) => id,
  };
}

/**
 * Reads a tokenizer.
 * @param vocabulary tokens that the model has
 * @throws ParetoError LLM_MODEL_DAMAGED, FILE_MISSING, FILE_REFUSED
 */
export async function openLlama2cTokenizer(path: string, vocabulary: number): Promise<Tokenizer> {
  const bytes = await readFile(path).catch((error: unknown) => {
    throw fileError(error, path);
  });
  const words = readVocabulary(bytes, vocabulary, path);
  const idOf = new Map<string, number>();
  words.pieces.forEach((piece, id) => {
    const key = piece.toString("latin1");
    if (!idOf.has(key)) idOf.set(key, id);
  });
  const joins = joinsOf(idOf, words);
  const byteOf = (token: number): number | null => {
    const [, hex] = /^<0x([0-9A-F]{2})>$/.exec(words.pieces[token]!.toString("latin1")) ?? [];
    return hex === undefined ? null : Number.parseInt(hex, 16);
  };
  const characterTokens = (character: string): number[] => {
    const utf8 = Buffer.from(character);
    const id = idOf.get(utf8.toString("latin1"));
    return id === undefined ? Array.from(utf8, (byte) => byte + FIRST_BYTE) : [id];
  };
  return {
    encode: (text) => {
      // Every text begins with a space, as SentencePiece's dummy prefix; an empty one has none.
      const tokens = (text === "" ? [] : [" ", ...text]).flatMap(characterTokens);
      return [BEGIN, ...joinPairs(tokens, joins)];
    },
    decode: (tokens) => {
      const parts: Buffer[] = [];
      let previous = -1;
      for (const token of tokens) {
        const byte = byteOf(token);
        let piece = byte === null ? words.pieces[token]! : Buffer.from([byte]);
        // The space that every text begins with.
        if (previous === BEGIN && piece[0] === 0x20) piece = piece.subarray(1);
        if (token >= FIRST_BYTE) parts.push(piece);
        previous = token;
      }
      return Buffer.concat(parts).toString("utf8");
    },
  };
}
