/**
 * @file Text files, read in pieces so that a file may be of any size. They are UTF-8 and nothing else: other encodings
 * are named, and so is the first byte that is no part of a character. A byte order mark before the text is no part of
 * it; every other character, NUL and CR among them, is given as it is.
 */
import { createReadStream } from "node:fs";
import { constants } from "node:buffer";
import { ParetoError } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";

/** Bytes of a piece. */
const PIECE_BYTES = 4 * 2 ** 20;
/** Bytes that tell UTF-16 without a byte order mark, and the share of them that must be zero. */
const LOOKED_AT = 4096;
const ZEROS = 0.4;

const MARK = Buffer.from("\uFEFF");

function wrongEncoding(where: string, message: string, fix: string): ParetoError {
  return new ParetoError({ code: "LLM_TEXT_ENCODING", where, message, fix });
}

/** The encoding that the start of a text shows, where that is not UTF-8; else null. */
function otherEncoding(first: Buffer): string | null {
  const starts = (...bytes: number[]) => bytes.every((byte, i) => first[i] === byte);
  if (starts(0xff, 0xfe, 0, 0) || starts(0, 0, 0xfe, 0xff)) return "UTF-32";
  if (starts(0xff, 0xfe)) return "UTF-16 (little-endian)";
  if (starts(0xfe, 0xff)) return "UTF-16 (big-endian)";
  if (starts(0x1f, 0x8b) || starts(0x28, 0xb5, 0x2f, 0xfd)) return "a compressed file";
  const looked = first.subarray(0, LOOKED_AT);
  const zeros = [0, 0];
  for (const [at, byte] of looked.entries()) if (byte === 0) zeros[at % 2]!++;
  const [even, odd] = zeros as [number, number];
  if (odd > ZEROS * looked.length && even === 0) return "UTF-16 (little-endian) without a byte order mark";
  if (even > ZEROS * looked.length && odd === 0) return "UTF-16 (big-endian) without a byte order mark";
  return null;
}

/** Bytes of the character that a byte begins; 0 for one that begins none. */
function lengthOf(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  return lead >= 0xf0 && lead <= 0xf4 ? 4 : 0;
}

/** Where the last character begins that the bytes do not hold whole; their length where they end with a whole one. */
function wholeEnd(bytes: Buffer): number {
  for (let at = bytes.length - 1; at >= Math.max(0, bytes.length - 3); at--) {
    const byte = bytes[at]!;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) return at + lengthOf(byte) > bytes.length ? at : bytes.length;
  }
  return bytes.length;
}

/** The place of the first byte that is no part of a character (Unicode 16, table 3-7). */
function firstInvalid(bytes: Buffer): number {
  for (let at = 0; at < bytes.length;) {
    const lead = bytes[at]!;
    const length = lengthOf(lead);
    const second = bytes[at + 1] ?? 0;
    const least = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const most = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (length === 0 || (length > 1 && (second < least || second > most))) return at;
    for (let i = 2; i < length; i++) if (((bytes[at + i] ?? 0) & 0xc0) !== 0x80) return at;
    at += length;
  }
  return bytes.length;
}

function lineBreaks(bytes: Buffer, end: number): number {
  let count = 0;
  for (let at = bytes.indexOf(10); at >= 0 && at < end; at = bytes.indexOf(10, at + 1)) count++;
  return count;
}

/** Decodes a text that comes in pieces of bytes. */
class Decoder {
  readonly #where: string;
  readonly #utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  #rest = Buffer.alloc(0);
  /** Bytes and line breaks before `#rest`. */
  #offset = 0;
  #lines = 0;

  constructor(where: string) {
    this.#where = where;
  }

  /** @throws ParetoError LLM_TEXT_ENCODING */
  decode(piece: Buffer, isLast: boolean): string {
    let bytes = this.#rest.length === 0 ? piece : Buffer.concat([this.#rest, piece]);
    if (this.#offset === 0) {
      const other = otherEncoding(bytes);
      if (other !== null)
        throw wrongEncoding(
          this.#where,
          `a text must be UTF-8, got ${other}`,
          "Save the file as UTF-8, not compressed.",
        );
      if (bytes.subarray(0, MARK.length).equals(MARK)) {
        this.#offset = MARK.length;
        bytes = bytes.subarray(MARK.length);
      }
    }
    const end = isLast ? bytes.length : wholeEnd(bytes);
    const whole = bytes.subarray(0, end);
    let text: string;
    try {
      text = this.#utf8.decode(whole);
    } catch {
      const at = firstInvalid(whole);
      const line = this.#lines + lineBreaks(whole, at) + 1;
      throw wrongEncoding(
        this.#where,
        `a text must be UTF-8, got byte 0x${whole[at]!.toString(16).padStart(2, "0")} at ${this.#offset + at}, in line ${line}`,
        "Save the file as UTF-8, e.g. iconv -f latin1 -t utf-8 where it is Latin-1.",
      );
    }
    this.#offset += end;
    this.#lines += lineBreaks(whole, end);
    this.#rest = Buffer.from(bytes.subarray(end));
    return text;
  }
}

/**
 * The text of a file in pieces, each of whole characters.
 * @param path of the file; `-` is standard input
 * @throws ParetoError LLM_TEXT_ENCODING, FILE_MISSING, FILE_REFUSED
 */
export async function* textPieces(path: string): AsyncGenerator<string> {
  const isInput = path === "-";
  const decoder = new Decoder(isInput ? "stdin" : path);
  const source = isInput ? process.stdin : createReadStream(path, { highWaterMark: PIECE_BYTES });
  let held: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      held.push(chunk);
      size += chunk.length;
      if (size < PIECE_BYTES) continue;
      yield decoder.decode(Buffer.concat(held), false);
      [held, size] = [[], 0];
    }
  } catch (error) {
    throw fileError(error, path);
  }
  yield decoder.decode(Buffer.concat(held), true);
}

/**
 * The whole text of a file.
 * @param path of the file; `-` is standard input
 * @throws ParetoError LLM_TEXT_ENCODING, LLM_TEXT_LARGE for more characters than a string can have, FILE_MISSING,
 *   FILE_REFUSED
 */
export async function readTextFile(path: string): Promise<string> {
  const pieces: string[] = [];
  let length = 0;
  for await (const piece of textPieces(path)) {
    length += piece.length;
    if (length > constants.MAX_STRING_LENGTH)
      throw new ParetoError({
        code: "LLM_TEXT_LARGE",
        where: path === "-" ? "stdin" : path,
        message: `a text that is read whole may have at most ${constants.MAX_STRING_LENGTH} characters, got more`,
        fix: "Split the file.",
      });
    pieces.push(piece);
  }
  return pieces.join("");
}
