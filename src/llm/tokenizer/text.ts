/** @file A text on its way to tokens, with what `Metaspace` must know of where it came from. */

/** A text, or a piece of one. */
export interface Piece {
  readonly text: string;
  /** Whether it begins where the whole text began. */
  readonly first: boolean;
  /** How many of its first UTF-16 units come from the first character of the whole text; 0 unless `first`. */
  readonly head: number;
}

/** A text before anything is done to it. */
export function wholeText(text: string): Piece {
  return { text, first: true, head: firstLength(text) };
}

/** UTF-16 units of the first character. */
export function firstLength(text: string): number {
  return text === "" ? 0 : String.fromCodePoint(text.codePointAt(0)!).length;
}

/** A part of a piece. */
export function slice({ text, first, head }: Piece, start: number, end: number): Piece {
  const isFirst = first && start < head;
  return { text: text.slice(start, end), first: isFirst, head: isFirst ? Math.min(head, end) - start : 0 };
}

/** A piece with every character replaced by others, or by nothing. */
export function mapped({ text, first, head }: Piece, map: (text: string) => string): Piece {
  return { text: map(text), first, head: head === 0 ? 0 : map(text.slice(0, head)).length };
}

/** A piece with a text before it, which counts as part of its first character. */
export function prepended({ text, first, head }: Piece, before: string): Piece {
  return { text: before + text, first, head: head === 0 ? 0 : head + before.length };
}
