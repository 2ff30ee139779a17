/** @file What turns a piece of text into tokens: the part `model` of a `tokenizer.json`. */

/** A model of tokens. */
export interface TokenModel {
  /** Ids of its tokens. */
  readonly vocabulary: ReadonlyMap<string, number>;
  /** The tokens of a piece, which is never empty. @throws ParetoError LLM_TEXT_UNKNOWN */
  tokenize(piece: string): readonly number[];
}

/** Pieces that a {@link cached} model keeps, and their longest. */
const KEPT = { pieces: 65_536, length: 256 };

/** The tokens of pieces, kept for pieces that come again. */
export function cached(tokenize: (piece: string) => readonly number[]): (piece: string) => readonly number[] {
  const kept = new Map<string, readonly number[]>();
  return (piece) => {
    const found = kept.get(piece);
    if (found !== undefined) return found;
    const tokens = tokenize(piece);
    if (piece.length <= KEPT.length) {
      if (kept.size >= KEPT.pieces) kept.clear();
      kept.set(piece, tokens);
    }
    return tokens;
  };
}

/** The name of the token of a byte. */
function byteToken(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
}

/** The tokens of a text's bytes; null where one of them is no token. */
export function byteTokens(text: string, vocabulary: ReadonlyMap<string, number>): number[] | null {
  const ids = Array.from(Buffer.from(text), (byte) => vocabulary.get(byteToken(byte)));
  return ids.every((id) => id !== undefined) ? ids : null;
}
