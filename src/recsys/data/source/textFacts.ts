/**
 * @file What all bytes of a text say about it: whether they are UTF-8, how its lines end, whether it holds a NUL.
 *
 * Whole chunks are looked at by Node's own searches, so that a plain file costs a read from the page cache and little more.
 */
import { isAscii, isUtf8 } from "node:buffer";

const [LF, CR] = [10, 13];

/** Takes a text in, chunk by chunk. */
export class TextFacts {
  /** Byte of the first NUL, -1 without one. */
  nul = -1;
  /** Byte of the first that is not ASCII, and of the first that is no UTF-8; -1 without one. */
  nonAscii = -1;
  invalid = -1;
  /** Which ends of lines occur. */
  readonly ends = { crlf: false, lf: false, cr: false };
  sizeBytes = 0;
  #endsInCr = false;
  /** The beginning of a character whose rest is in the next chunk. */
  #rest: Uint8Array = Buffer.alloc(0);

  add(chunk: Uint8Array): void {
    if (this.nul < 0) {
      const at = chunk.indexOf(0);
      if (at >= 0) this.nul = this.sizeBytes + at;
    }
    this.#addCharacters(chunk);
    this.#addEnds(chunk);
    this.sizeBytes += chunk.length;
  }

  /** Takes in chunks that go on to another reader. */
  async *watch(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      this.add(chunk);
      yield chunk;
    }
    this.end();
  }

  /** After the last chunk. */
  end(): void {
    if (this.invalid < 0 && this.#rest.length > 0) this.invalid = this.sizeBytes - this.#rest.length;
    if (this.#endsInCr) this.ends.cr = true;
  }

  #addCharacters(chunk: Uint8Array): void {
    if (this.invalid >= 0) return;
    if (this.#rest.length === 0 && isAscii(chunk)) return;
    if (this.nonAscii < 0) this.nonAscii = this.sizeBytes + chunk.findIndex((byte) => byte > 127);
    const from = this.sizeBytes - this.#rest.length;
    const all = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const whole = all.length - openBytes(all);
    if (!isUtf8(all.subarray(0, whole))) this.invalid = from + firstInvalid(all.subarray(0, whole));
    this.#rest = Buffer.from(all.subarray(whole));
  }

  #addEnds(chunk: Uint8Array): void {
    const { ends } = this;
    if (chunk.length === 0) return;
    if (this.#endsInCr) {
      if (chunk[0] === LF) ends.crlf = true;
      else ends.cr = true;
    }
    for (let at = chunk.indexOf(CR); at >= 0 && !(ends.cr && ends.crlf); at = chunk.indexOf(CR, at + 1)) {
      if (at + 1 === chunk.length) break;
      if (chunk[at + 1] === LF) ends.crlf = true;
      else ends.cr = true;
    }
    for (let at = chunk.indexOf(LF); at >= 0 && !ends.lf; at = chunk.indexOf(LF, at + 1)) {
      ends.lf = at === 0 ? !this.#endsInCr : chunk[at - 1] !== CR;
    }
    this.#endsInCr = chunk.at(-1) === CR;
  }
}

/** Bytes at the end that begin a character of UTF-8 without ending it. */
function openBytes(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return 0;
    if (byte >= 0xc0) return back < (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) ? back : 0;
  }
  return 0;
}

/** The first byte from which on bytes are no UTF-8, found by halves. */
function firstInvalid(bytes: Uint8Array): number {
  let [low, high] = [0, bytes.length];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    const head = bytes.subarray(0, middle);
    if (isUtf8(head.subarray(0, head.length - openBytes(head)))) low = middle;
    else high = middle;
  }
  // The last character that began may be the one that does not go on as it should.
  return low - openBytes(bytes.subarray(0, low));
}
