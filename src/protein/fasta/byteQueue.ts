/** @file Bytes of a stream, taken by number or by chunk, and put back. */

/** Wraps chunks. One caller at a time. */
export class ByteQueue {
  readonly #chunks: AsyncIterator<Uint8Array>;
  /** Comes before the next chunk. */
  #first: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterator<Uint8Array>) {
    this.#chunks = chunks;
  }

  /** A chunk of at least one byte, or null at the end. */
  async next(): Promise<Uint8Array | null> {
    const first = this.#first;
    this.#first = new Uint8Array(0);
    if (first.length > 0) return first;
    for (;;) {
      const { done, value } = await this.#chunks.next();
      if (done === true) return null;
      if (value.length > 0) return value;
    }
  }

  /** Puts bytes back before all others. */
  unread(bytes: Uint8Array): void {
    this.#first = this.#first.length === 0 ? bytes : Buffer.concat([bytes, this.#first]);
  }

  /** The next bytes, which stay; fewer than `count` at the end. */
  async peek(count: number): Promise<Uint8Array> {
    const bytes = await this.take(count);
    this.unread(bytes);
    return bytes;
  }

  /** The next bytes; fewer than `count` at the end. */
  async take(count: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let left = count;
    while (left > 0) {
      const chunk = await this.next();
      if (chunk === null) break;
      const part = chunk.subarray(0, left);
      if (part.length < chunk.length) this.unread(chunk.subarray(part.length));
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  }

  /** Drops bytes up to the first of this value, and that. @returns false where there is none */
  async skipPast(byte: number): Promise<boolean> {
    for (let chunk = await this.next(); chunk !== null; chunk = await this.next()) {
      const at = chunk.indexOf(byte);
      if (at < 0) continue;
      this.unread(chunk.subarray(at + 1));
      return true;
    }
    return false;
  }
}
