/**
 * @file gzip (RFC 1952, with several members as bgzip writes them) and Zstandard (RFC 8878, with several frames),
 * decompressed piece by piece.
 *
 * Everything before a damaged place, and before the end of data that is cut off, is given out; then the error is thrown.
 * Node's own streams drop what they have decompressed when an error comes, take bytes behind a gzip member for a damaged
 * one, and stop behind the first Zstandard frame. Where damage shows only in a checksum, all of the member was given out
 * before the error. Bytes behind the last member are left out with a warning; zeros, which pad tapes, without one.
 */
import { constants, crc32, createInflateRaw, createZstdDecompress } from "node:zlib";
import { inflateRawSync, zstdDecompressSync, type InflateRaw, type ZstdDecompress } from "node:zlib";
import { formatCount } from "../../base/format.ts";
import { ParetoError } from "../../base/errors.ts";
import { ByteQueue } from "./byteQueue.ts";
import type { FastaWarning } from "./fastaRecord.ts";

/** Compressions that are read. */
export type Compression = "gzip" | "zstd";

/** Bytes that a codec gives out at once. */
const OUTPUT_BYTES = 1 << 16;
/** Bytes of a member that are kept, to find all that it holds before a damaged place. */
const KEPT_BYTES = 1 << 20;

const GZIP_MAGIC = [0x1f, 0x8b];
const ZSTD_MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

/** The cause of an error that came when all bytes were given out: the last record is as whole as those before. */
export class WholeButWrong extends Error {}

interface Codec {
  name: Compression;
  /** Whether a member or a frame begins with these bytes, of which there are at least one. */
  opens(start: Uint8Array): boolean;
  create(): InflateRaw | ZstdDecompress;
  /** What the first bytes of a member hold. @throws Error of damaged data */
  decodeStart(bytes: Uint8Array): Uint8Array;
}

const CODECS: Record<Compression, Codec> = {
  gzip: {
    name: "gzip",
    opens: (start) => GZIP_MAGIC.every((byte, i) => start[i] === byte),
    create: () => createInflateRaw({ chunkSize: OUTPUT_BYTES, finishFlush: constants.Z_SYNC_FLUSH }),
    decodeStart: (bytes) => inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }),
  },
  zstd: {
    name: "zstd",
    opens: (start) =>
      ZSTD_MAGIC.every((byte, i) => start[i] === byte) ||
      // A skippable frame.
      ((start[0]! & 0xf0) === 0x50 && start[1] === 0x2a && start[2] === 0x4d && start[3] === 0x18),
    create: () => createZstdDecompress({ chunkSize: OUTPUT_BYTES }),
    decodeStart: (bytes) => zstdDecompressSync(bytes, { finishFlush: constants.ZSTD_e_flush }),
  },
};

/**
 * Decompresses.
 * @param chunks begin with a member of the compression
 * @param where names the source in errors
 * @throws ParetoError FASTA_COMPRESSION, and what `chunks` throws, after what was read before
 */
export async function* decompress(
  chunks: AsyncGenerator<Uint8Array>,
  compression: Compression,
  where: string,
  onWarning?: (warning: FastaWarning) => void,
): AsyncGenerator<Uint8Array> {
  const codec = CODECS[compression];
  const input = new ByteQueue(chunks);
  try {
    /** Whether the last member was a block of bgzip that holds something: its files end in an empty one. */
    let lacksEnd = false;
    for (let members = 0; ; members++) {
      const start = await input.peek(4);
      if (start.length === 0) {
        if (lacksEnd) onWarning?.(withoutEnd(where));
        return;
      }
      if (members > 0 && !codec.opens(start)) {
        await warnOfRest(input, codec, where, onWarning);
        return;
      }
      if (compression === "zstd") {
        for await (const bytes of decode(codec, input, where)) yield bytes;
        continue;
      }
      const isBlock = await skipGzipHeader(input, where);
      let sum = 0;
      let size = 0;
      for await (const bytes of decode(codec, input, where)) {
        sum = crc32(bytes, sum);
        size = (size + bytes.length) >>> 0;
        yield bytes;
      }
      await checkGzipTrailer(input, sum, size, where);
      lacksEnd = isBlock && size > 0;
    }
  } finally {
    await chunks.return(undefined);
  }
}

/** The content of one member, whose header is read already, or of the Zstandard frames up to bytes that are none. */
async function* decode(codec: Codec, input: ByteQueue, where: string): AsyncGenerator<Uint8Array> {
  const stream = codec.create();
  let out: Uint8Array[] = [];
  const state: { failure: Error | null; isEnded: boolean } = { failure: null, isEnded: false };
  stream.on("data", (bytes: Uint8Array) => out.push(bytes));
  stream.on("end", () => (state.isEnded = true));
  stream.on("error", (error) => (state.failure = error));
  let given = 0;
  let taken = 0;
  let kept: Uint8Array[] | null = [];
  try {
    for (;;) {
      const piece = await input.next();
      if (piece === null) {
        const closed = new Promise((resolve) => stream.once("close", resolve));
        stream.end();
        await closed;
        for (const bytes of out) yield bytes;
        // A gzip member is followed by its checksum, so that it never ends with the data.
        if (codec.name === "zstd" && state.failure === null) return;
        throw cutOff(codec.name, where);
      }
      kept?.push(piece);
      taken += piece.length;
      if (taken > KEPT_BYTES) kept = null;
      await new Promise<void>((resolve) => {
        stream.once("close", resolve);
        stream.write(piece, () => {
          stream.off("close", resolve);
          resolve();
        });
      });
      // A codec that wants no more says so on the next tick.
      if (stream.bytesWritten < taken) await new Promise((resolve) => setImmediate(resolve));
      const { failure } = state;
      if (failure !== null && isOtherStart(failure)) {
        input.unread(piece);
        for (const bytes of out) yield bytes;
        return;
      }
      if (failure !== null && kept !== null) out.push(beforeDamage(codec, kept, given + sizeOf(out)));
      for (const bytes of out) yield bytes;
      given += sizeOf(out);
      out = [];
      if (failure !== null) throw damaged(codec.name, where, failure);
      if (state.isEnded) {
        input.unread(piece.subarray(piece.length - (taken - stream.bytesWritten)));
        return;
      }
    }
  } finally {
    stream.destroy();
  }
}

/** Bytes behind a whole Zstandard frame that begin no other. */
function isOtherStart(failure: Error): boolean {
  return (failure as NodeJS.ErrnoException).code === "ZSTD_error_prefix_unknown";
}

function sizeOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

/** What a damaged member holds before the damage, without the first `given` bytes: by bisection of what decodes. */
function beforeDamage(codec: Codec, kept: readonly Uint8Array[], given: number): Uint8Array {
  const all = Buffer.concat(kept);
  let best: Uint8Array = new Uint8Array(0);
  let [good, bad] = [0, all.length];
  while (bad - good > 1) {
    const middle = (good + bad) >> 1;
    try {
      best = codec.decodeStart(all.subarray(0, middle));
      good = middle;
    } catch {
      bad = middle;
    }
  }
  return best.subarray(given);
}

/** @returns whether it is that of a block of bgzip @throws ParetoError FASTA_COMPRESSION */
async function skipGzipHeader(input: ByteQueue, where: string): Promise<boolean> {
  const header = await input.take(10);
  const method = header[2];
  if (header.length === 10 && method !== 8) {
    throw damaged("gzip", where, new Error(`compression method ${method}, which is not 8 (deflate)`));
  }
  const flags = header[3] ?? 0;
  let isWhole = header.length === 10;
  let isBlock = false;
  if (isWhole && (flags & 4) !== 0) {
    const [low = 0, high = 0] = await input.take(2);
    const size = low + 256 * high;
    const extra = await input.take(size);
    isWhole = extra.length === size;
    // The subfield BC, which holds the block's size (SAM specification, 4.1).
    isBlock = extra[0] === 66 && extra[1] === 67;
  }
  // The file's name, and a comment.
  if (isWhole && (flags & 8) !== 0) isWhole = await input.skipPast(0);
  if (isWhole && (flags & 16) !== 0) isWhole = await input.skipPast(0);
  if (isWhole && (flags & 2) !== 0) isWhole = (await input.take(2)).length === 2;
  if (!isWhole) throw cutOff("gzip", where);
  return isBlock;
}

/** @throws ParetoError FASTA_COMPRESSION */
async function checkGzipTrailer(input: ByteQueue, sum: number, size: number, where: string): Promise<void> {
  const trailer = await input.take(8);
  if (trailer.length < 8) throw cutOff("gzip", where);
  const view = new DataView(trailer.buffer, trailer.byteOffset, 8);
  const [wantedSum, wantedSize] = [view.getUint32(0, true), view.getUint32(4, true)];
  if (wantedSum === sum && wantedSize === size) return;
  const hex = (value: number): string => value.toString(16).padStart(8, "0");
  const fault =
    wantedSum === sum
      ? `a size of ${size} bytes in place of ${wantedSize}`
      : `the checksum ${hex(sum)} in place of ${hex(wantedSum)}`;
  const isLast = (await input.peek(1)).length === 0;
  throw damaged("gzip", where, isLast ? new WholeButWrong(fault) : new Error(fault));
}

function cutOff(name: Compression, where: string): ParetoError {
  return new ParetoError({
    code: "FASTA_COMPRESSION",
    where,
    message: `the ${name} data is cut off, got its end within a compressed block`,
    fix: "Fetch or compress the file again; the records before this point are whole.",
  });
}

function withoutEnd(where: string): FastaWarning {
  const message = `the last block of bgzip's, an empty one, is missing, so that the file may be cut off, got ${where}`;
  return { code: "FASTA_NO_END", message };
}

function damaged(name: Compression, where: string, cause: Error): ParetoError {
  return new ParetoError({
    code: "FASTA_COMPRESSION",
    where,
    message: `the ${name} data is damaged, got ${cause.message}`,
    fix: "Fetch or compress the file again; the last records before this point may be wrong.",
    cause,
  });
}

/** Says what stands behind the last member, unless that is padding. */
async function warnOfRest(
  input: ByteQueue,
  { name }: Codec,
  where: string,
  onWarning: ((warning: FastaWarning) => void) | undefined,
): Promise<void> {
  let size = 0;
  let isPadding = true;
  for (let piece = await input.next(); piece !== null; piece = await input.next()) {
    size += piece.length;
    isPadding &&= piece.every((byte) => byte === 0);
  }
  if (isPadding) return;
  const message = `${where} has bytes behind its ${name} data, which are left out, got ${formatCount(size)} of them`;
  onWarning?.({ code: "FASTA_TRAILING_BYTES", message });
}
