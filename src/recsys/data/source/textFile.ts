/**
 * @file A text file as DuckDB reads it exactly: not compressed, in UTF-8, with one kind of line end.
 *
 * A file that is all of this is used where it lies. Of any other a copy is written into the stage. Encodings are known by
 * a byte order mark, by the zero bytes of UTF-16, and by bytes that are no UTF-8: these are Windows-1252 (of which
 * Latin-1 is a part) where that is likely, else an error, because no bytes say which of many encodings they are in.
 */
import { createReadStream } from "node:fs";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError } from "../../../base/errors.ts";
import { fileError } from "../../../base/fileErrors.ts";
import { encodingLabel, type CsvOptions } from "./csvOptions.ts";
import { unpack, type Packing } from "./unpack.ts";
import { TextFacts } from "./textFacts.ts";

type Bytes = AsyncIterable<Uint8Array>;

/** What is known of a text file before it is read. */
export interface TextKind {
  packing: Packing | null;
  /** By its first bytes; null for text that may be in UTF-8. */
  encoding: "utf-16le" | "utf-16be" | null;
}

/** A text that can be read. */
export interface TextFile {
  path: string;
  notices: string[];
}

/** Where to write, and how to read. */
export interface TextPlace {
  /** Folder of copies, and the name of this one. */
  directory: string;
  name: string;
  csv: Pick<CsvOptions, "encoding" | "quote" | "escape" | "delim">;
  signal?: AbortSignal;
}

const CHUNK_BYTES = 1 << 20;

/**
 * Makes a text file readable.
 * @throws ParetoError DATA_COMPRESSION, DATA_TEXT_ENCODING, DATA_TEXT_NUL, DATA_FILE_EMPTY, FILE_REFUSED, FILE_DISK_FULL
 */
export async function readableText(path: string, kind: TextKind, place: TextPlace): Promise<TextFile> {
  const { directory, name, csv, signal } = place;
  const notices: string[] = [];
  const given = csv.encoding === undefined ? null : encodingOf(csv.encoding, kind);
  const copy = (step: string) => join(directory, `${name}.${step}`);
  let at = path;
  const raw = (): Bytes =>
    at === path && kind.packing !== null ? unpack(path, kind.packing, signal) : readChunks(at, signal);
  const first = given ?? kind.encoding;
  let facts: TextFacts;
  if (first !== null && first !== "utf-8") {
    if (given === null) notices.push(`${path} is read as ${first.toUpperCase()}.`);
    const before = new TextFacts();
    facts = await copied(decoded(before.watch(raw()), first, path), copy("decoded"));
    if (given !== null && before.nonAscii >= 0 && before.invalid < 0 && !first.startsWith("utf-16")) {
      notices.push(`${path} is read as ${first}, as --csv says, though its bytes are UTF-8 too.`);
    }
    at = copy("decoded");
  } else {
    facts = await copied(raw(), kind.packing === null ? null : copy("unpacked"));
    if (kind.packing !== null) at = copy("unpacked");
    if (facts.invalid >= 0) {
      if (given !== null || facts.nonAscii < facts.invalid) throw notUtf8(path, facts, given !== null);
      const latin = new LatinFacts();
      facts = await copied(decoded(latin.of(raw()), "windows-1252", path), copy("decoded"));
      if (!latin.isLikely) throw unknownEncoding(path, latin);
      if (at !== path) await rm(at);
      at = copy("decoded");
      notices.push(
        `${path} is not UTF-8 and is read as Windows-1252 (Latin-1), the first such byte being ${latin.first}; --csv encoding=… names another encoding.`,
      );
    }
  }
  if (facts.nul >= 0) throw nulByte(path, facts);
  if (facts.sizeBytes === 0) throw emptyFile(path);
  const { cr, lf, crlf } = facts.ends;
  if (cr || (lf && crlf)) {
    await copied(withLineFeeds(readChunks(at, signal), csv), copy("lines"));
    if (at !== path) await rm(at);
    at = copy("lines");
  }
  return { path: at, notices };
}

/** The error of a file without a byte of text. */
export function emptyFile(path: string): ParetoError {
  return new ParetoError({
    code: "DATA_FILE_EMPTY",
    where: path,
    message: "the file is empty, got 0 bytes",
    fix: "Give a file with at least a header and some rows.",
  });
}

/** The encoding that the user has named; byte order marks say which UTF-16 it is. */
function encodingOf(named: string, { encoding }: TextKind): string {
  const label = encodingLabel(named);
  return label === "utf-16" ? (encoding ?? "utf-16le") : new TextDecoder(label).encoding;
}

async function* readChunks(path: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of createReadStream(path, {
      highWaterMark: CHUNK_BYTES,
    }) as AsyncIterable<Uint8Array>) {
      signal?.throwIfAborted();
      yield chunk;
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw fileError(error, path);
  }
}

/** Looks at chunks, and writes them to a file if there is one. */
async function copied(chunks: Bytes, path: string | null): Promise<TextFacts> {
  const facts = new TextFacts();
  const file = path === null ? null : await open(path, "w").catch((error: unknown) => refuse(error, path));
  try {
    for await (const chunk of chunks) {
      facts.add(chunk);
      if (file !== null) await file.writeFile(chunk).catch((error: unknown) => refuse(error, path!));
    }
  } finally {
    await file?.close();
  }
  facts.end();
  return facts;
}

function refuse(error: unknown, path: string): never {
  throw fileError(error, path);
}

/** Bytes of an encoding as UTF-8. @throws ParetoError DATA_TEXT_ENCODING */
async function* decoded(chunks: Bytes, encoding: string, path: string): AsyncGenerator<Uint8Array> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let done = 0;
  const decode = (chunk?: Uint8Array) => {
    try {
      return Buffer.from(chunk === undefined ? decoder.decode() : decoder.decode(chunk, { stream: true }));
    } catch (error) {
      throw new ParetoError({
        code: "DATA_TEXT_ENCODING",
        where: path,
        message: `the text is not in its encoding somewhere in bytes ${done} to ${done + (chunk?.length ?? 0)}, got bytes that are no ${encoding}`,
        fix: "Name its encoding, e.g. --csv encoding=latin-1, or write the file again.",
        cause: error,
      });
    }
  };
  for await (const chunk of chunks) {
    yield decode(chunk);
    done += chunk.length;
  }
  yield decode();
}

/** What the bytes above ASCII say: Latin letters stand among ASCII ones, those of other scripts beside each other. */
class LatinFacts {
  first = -1;
  high = 0;
  #pairs = 0;
  #undefined = 0;
  #done = 0;

  async *of(chunks: Bytes): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      let before = 0;
      for (let i = 0; i < chunk.length; i++) {
        const byte = chunk[i]!;
        if (byte > 127) {
          if (this.first < 0) this.first = this.#done + i;
          this.high++;
          if (before > 127) this.#pairs++;
          if (byte === 0x81 || byte === 0x8d || byte === 0x8f || byte === 0x90 || byte === 0x9d)
            this.#undefined++;
        }
        before = byte;
      }
      this.#done += chunk.length;
      yield chunk;
    }
  }

  get isLikely(): boolean {
    return this.#undefined === 0 && this.#pairs * 4 <= this.high;
  }
}

/** Every line end outside of quotes as a line feed. */
async function* withLineFeeds(
  chunks: Bytes,
  { quote = '"', escape = quote, delim }: TextPlace["csv"],
): AsyncGenerator<Uint8Array> {
  const code = (text: string | undefined) => (text ? text.charCodeAt(text.length - 1) : -1);
  const [q, e] = [code(quote), code(escape)];
  const separators = delim === undefined ? [..."\t,;|"].map(code) : [code(delim)];
  let state: "start" | "bare" | "quoted" | "escaped" | "closed" = "start";
  let afterCr = false;
  for await (const chunk of chunks) {
    const out = Buffer.allocUnsafe(chunk.length);
    let length = 0;
    for (const byte of chunk) {
      if (state === "escaped") {
        state = "quoted";
        out[length++] = byte;
        continue;
      }
      if (state === "quoted") {
        if (byte === e && e !== q) state = "escaped";
        else if (byte === q) state = "closed";
        out[length++] = byte;
        continue;
      }
      if (afterCr && byte === 10) {
        afterCr = false;
        continue;
      }
      afterCr = byte === 13;
      out[length++] = afterCr ? 10 : byte;
      if (byte === 13 || byte === 10 || separators.includes(byte)) state = "start";
      else if (byte === q && (state === "start" || state === "closed")) state = "quoted";
      else state = "bare";
    }
    yield out.subarray(0, length);
  }
}

function notUtf8(path: string, { invalid }: TextFacts, isGiven: boolean): ParetoError {
  const why = isGiven ? "the text is not in UTF-8" : "the text is UTF-8 at first but not throughout";
  return new ParetoError({
    code: "DATA_TEXT_ENCODING",
    where: path,
    message: `${why}, got a byte that is none at ${invalid}`,
    fix: "Write the file again in UTF-8, or name its encoding: --csv encoding=latin-1.",
  });
}

function unknownEncoding(path: string, { first, high }: LatinFacts): ParetoError {
  return new ParetoError({
    code: "DATA_TEXT_ENCODING",
    where: path,
    message: `the text is neither UTF-8 nor likely Latin-1, got ${high} bytes above ASCII, the first at ${first}`,
    fix: "Name its encoding, e.g. --csv encoding=windows-1251, shift_jis or gbk.",
  });
}

function nulByte(path: string, { nul }: TextFacts): ParetoError {
  return new ParetoError({
    code: "DATA_TEXT_NUL",
    where: path,
    message: `a text holds no NUL byte, got one at byte ${nul} of the text`,
    fix: "Write the file again; without the NULs: tr -d '\\0' < FILE > NEW.",
  });
}
