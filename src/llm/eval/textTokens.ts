/**
 * @file The tokens of a text file. A text is cut into tokens whole, as a prompt is; one that is very long in parts that
 * end with a line, so that neither its characters nor what a tokenizer makes of them need be in memory at once.
 */
import { textPieces } from "../text/textFile.ts";
import { TokenList } from "../text/tokenList.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

/** Most characters that are cut whole, and about so many of a part otherwise. */
const SIZES = { whole: 2 ** 28, part: 2 ** 24 };

/** A text's parts: all of it, or lines of about so many characters. */
async function* partsOf(pieces: AsyncIterable<string>, sizes: typeof SIZES): AsyncGenerator<string> {
  let held: string[] = [];
  let length = 0;
  let isWhole = true;
  let hasParts = false;
  for await (const piece of pieces) {
    held.push(piece);
    length += piece.length;
    if (length <= (isWhole ? sizes.whole : sizes.part)) continue;
    isWhole = false;
    for (const some of held.splice(0)) {
      held.push(some);
      const text = held.join("");
      if (text.length < sizes.part) continue;
      const end = text.lastIndexOf("\n") + 1;
      // A line that is longer than a part is cut behind a space, or between characters.
      const place = end > 0 ? end : text.lastIndexOf(" ") > 0 ? text.lastIndexOf(" ") : text.length;
      yield text.slice(0, place);
      hasParts = true;
      held = [text.slice(place)];
    }
    length = held.reduce((sum, { length: own }) => sum + own, 0);
  }
  const last = held.join("");
  if (last !== "" || !hasParts) yield last;
}

/** How many tokens a part has, at its start and at its end, of those that every text is framed by. */
function frameOf(tokens: readonly number[], empty: readonly number[]): { start: number; end: number } {
  let start = 0;
  while (start < empty.length && tokens[start] === empty[start]) start++;
  let end = 0;
  while (end < empty.length - start && tokens.at(-1 - end) === empty.at(-1 - end)) end++;
  return { start, end };
}

/**
 * Cuts a text file into tokens.
 * @param path of the file; `-` is standard input
 * @param sizes only for tests
 * @throws ParetoError LLM_TEXT_ENCODING, FILE_MISSING, FILE_REFUSED, and what `encode` refuses
 */
export async function textTokens(tokenizer: Tokenizer, path: string, sizes = SIZES): Promise<TokenList> {
  const all = new TokenList();
  const empty = tokenizer.encode("");
  const add = (text: string, isFirst: boolean, isLast: boolean) => {
    const tokens = tokenizer.encode(text);
    const { start, end } = frameOf(tokens, empty);
    const last = tokens.length - (isLast ? 0 : end);
    for (let i = isFirst ? 0 : start; i < last; i++) all.push(tokens[i]!);
  };
  let before: string | null = null;
  let isFirst = true;
  for await (const part of partsOf(textPieces(path), sizes)) {
    if (before !== null) {
      add(before, isFirst, false);
      isFirst = false;
    }
    before = part;
  }
  add(before ?? "", isFirst, true);
  return all;
}
