/**
 * @file The bytes of a FASTA file or stream, decompressed, whatever its name says.
 *
 * gzip (several members and BGZF included) and Zstandard are known by their first bytes and decompressed; UTF-16, which
 * some shells of Windows write, becomes UTF-8. Formats that are not read are named in the error.
 */
import { createReadStream } from "node:fs";
import { fileError } from "../../base/fileErrors.ts";
import { ParetoError } from "../../base/errors.ts";
import { decompress, type Compression } from "./decompress.ts";
import type { FastaWarning } from "./fastaRecord.ts";
import { FORMAT_BYTES, opensFasta, otherFormat } from "./otherFormats.ts";

const CHUNK_BYTES = 1 << 16;

/** How far to look for signs of binary data. */
const LOOKED_AT_BYTES = 1024;

const GREATER = 62;

/** What the first bytes of a stream say it is. */
type Encoding = "text" | Compression | "utf-16le" | "utf-16be";

/** First bytes of formats that hold no FASTA text, and what to do with them. */
const REFUSED_STARTS: readonly { bytes: readonly number[]; what: string; fix: string }[] = [
  { bytes: [0x50, 0x4b, 3, 4], what: "a ZIP archive", fix: "Unpack it and name the FASTA file inside." },
  { bytes: [0x42, 0x5a, 0x68], what: "a bzip2 file", fix: "Decompress it first: bzip2 -dc FILE | … -" },
  {
    bytes: [0xfd, 0x37, 0x7a, 0x58, 0x5a],
    what: "an xz file",
    fix: "Decompress it first: xz -dc FILE | … -",
  },
  { bytes: [0x25, 0x50, 0x44, 0x46], what: "a PDF document", fix: "Save the sequences as plain text." },
];

function startsWith(bytes: Uint8Array, start: readonly number[]): boolean {
  return start.every((byte, i) => bytes[i] === byte);
}

/** @throws ParetoError FASTA_NOT_TEXT */
function detect(start: Uint8Array, where: string): Encoding {
  if (startsWith(start, [0x1f, 0x8b])) return "gzip";
  if (startsWith(start, [0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  if (startsWith(start, [0xff, 0xfe])) return "utf-16le";
  if (startsWith(start, [0xfe, 0xff])) return "utf-16be";
  if (startsWith(start, [GREATER, 0])) return "utf-16le";
  if (startsWith(start, [0, GREATER])) return "utf-16be";
  const refused = REFUSED_STARTS.find(({ bytes }) => startsWith(start, bytes));
  // In what begins as FASTA, a zero byte spoils only the record that holds it.
  const zero = start[0] === GREATER ? -1 : start.subarray(0, LOOKED_AT_BYTES).indexOf(0);
  if (refused === undefined && zero < 0) return "text";
  throw new ParetoError({
    code: "FASTA_NOT_TEXT",
    where,
    message:
      refused === undefined
        ? `a FASTA file is text, got binary data with a zero byte at offset ${zero}`
        : `a FASTA file is text, got ${refused.what}`,
    fix: refused?.fix ?? "Name a FASTA file: text with a line that begins with > before each sequence.",
  });
}

/** @throws ParetoError FASTA_OTHER_FORMAT */
function refuseOtherFormat(start: Uint8Array, where: string): void {
  const format = otherFormat(start);
  if (format === null) return;
  const line = Buffer.from(start)
    .toString("latin1")
    .trimStart()
    .split(/[\r\n]/)[0]!;
  throw new ParetoError({
    code: "FASTA_OTHER_FORMAT",
    where,
    message: `a FASTA file is needed, and this is ${format.what} by its first line, got ${JSON.stringify(line.slice(0, 60))}`,
    fix: format.fix,
  });
}

async function* transcode(
  chunks: AsyncIterable<Uint8Array>,
  encoding: "utf-16le" | "utf-16be",
): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding);
  const encoder = new TextEncoder();
  for await (const chunk of chunks) yield encoder.encode(decoder.decode(chunk, { stream: true }));
  yield encoder.encode(decoder.decode());
}

/** Where FASTA comes from: a path, `-` for standard input, or chunks of bytes or text, such as a stream. */
export type FastaSource = string | AsyncIterable<Uint8Array | string>;

/** A stream as chunks of bytes; text chunks of streams with an encoding become UTF-8 again. */
async function* chunksOf(
  stream: AsyncIterable<Uint8Array | string>,
  where: string,
): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of stream) {
      yield typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EISDIR") throw fileError(error, where);
    throw new ParetoError({
      code: "FILE_REFUSED",
      where,
      message: `a file is needed, got the folder ${where}`,
      fix: "Name one FASTA file, or send several through a pipe: cat FOLDER/*.fasta | … -",
      cause: error,
    });
  }
}

/** Puts back what was read to detect the encoding. */
async function* chain(first: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield first;
  try {
    for (;;) {
      const next = await rest.next();
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await rest.return?.();
  }
}

/** The name of a source in messages. */
function sourceName(source: FastaSource): string {
  if (typeof source !== "string") return "stream";
  return source === "-" ? "standard input" : source;
}

/**
 * Opens a source and gives its text as bytes.
 * @param source a path, `-` for standard input, or a stream
 * @param onWarning hears of bytes that are left out
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, FASTA_NOT_TEXT, FASTA_OTHER_FORMAT, FASTA_COMPRESSION
 */
export async function* readBytes(
  source: FastaSource,
  onWarning?: (warning: FastaWarning) => void,
): AsyncGenerator<Uint8Array> {
  const where = sourceName(source);
  const stream =
    typeof source !== "string"
      ? source
      : source === "-"
        ? process.stdin
        : createReadStream(source, { highWaterMark: CHUNK_BYTES });
  yield* decodeBytes(chunksOf(stream, where), where, { mayDecompress: true, onWarning });
}

async function* decodeBytes(
  chunks: AsyncGenerator<Uint8Array>,
  where: string,
  {
    mayDecompress,
    onWarning,
  }: { mayDecompress: boolean; onWarning?: ((warning: FastaWarning) => void) | undefined },
): AsyncGenerator<Uint8Array> {
  // Pipes may give a byte at a time; the longest signature has five.
  let first: Uint8Array = new Uint8Array(0);
  while (first.length < 8) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
  }
  const encoding = detect(first, where);
  const all = chain(first, chunks);
  if (encoding === "text") yield* ofFasta(all, where);
  else if (encoding === "utf-16le" || encoding === "utf-16be")
    yield* ofFasta(transcode(all, encoding), where);
  else if (mayDecompress) {
    yield* decodeBytes(decompress(all, encoding, where, onWarning), where, { mayDecompress: false });
  } else {
    throw new ParetoError({
      code: "FASTA_NOT_TEXT",
      where,
      message: `the file was compressed twice, got ${encoding} data inside`,
      fix: "Decompress it once before: gzip -dc FILE | … -",
    });
  }
}

/** The text as it is, unless it begins as another format does. @throws ParetoError FASTA_OTHER_FORMAT */
async function* ofFasta(chunks: AsyncGenerator<Uint8Array>, where: string): AsyncGenerator<Uint8Array> {
  let first: Uint8Array = new Uint8Array(0);
  while (first.length < FORMAT_BYTES && opensFasta(first) !== true) {
    const next = await chunks.next();
    if (next.done === true) break;
    first = first.length === 0 ? next.value : Buffer.concat([first, next.value]);
  }
  refuseOtherFormat(first, where);
  yield* chain(first, chunks);
}
