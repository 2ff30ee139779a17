/**
 * @file Decompresses gzip and Zstandard files to their last byte, and refuses those that are cut off or damaged.
 *
 * Files of several members or frames (`cat a.gz b.gz`, BGZF, pigz, pzstd) are one text. Zero bytes after gzip data are
 * padding, as `gzip` takes them. Node's decoders end in silence at the end of a Zstandard frame, so each is followed by
 * another until all bytes of the file are used.
 */
import { createReadStream } from "node:fs";
import { open, stat } from "node:fs/promises";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { ParetoError } from "../../../base/errors.ts";
import { fileError } from "../../../base/fileErrors.ts";

/** How a file is compressed. */
export type Packing = "gzip" | "zstd";

const CHUNK_BYTES = 1 << 18;

/** The empty block that ends every BGZF file. */
const BGZF_END = Buffer.from("1f8b08040000000000ff0600424302001b0003000000000000000000", "hex");

/** @param at byte of the compressed file @param text bytes that were unpacked before */
function damaged(path: string, packing: Packing, what: string, got: string, cause?: unknown): ParetoError {
  const test = packing === "gzip" ? "gzip -t" : "zstd -t";
  return new ParetoError({
    code: "DATA_COMPRESSION",
    where: path,
    message: `the ${packing} file ${what}, got ${got}`,
    fix: `Fetch or compress the file again; ${test} checks one.`,
    ...(cause !== undefined && { cause }),
  });
}

/** Bytes from a place to the end of a file that are not zero. */
async function hasMore(path: string, from: number): Promise<boolean> {
  for await (const chunk of createReadStream(path, { start: from }) as AsyncIterable<Buffer>)
    if (chunk.some((byte) => byte !== 0)) return true;
  return false;
}

/** A BGZF file that was cut off between two of its blocks reads as a whole one, but for its last block. */
async function checkBgzf(path: string, sizeBytes: number): Promise<void> {
  const handle = await open(path, "r");
  try {
    const head = Buffer.alloc(14);
    await handle.read(head, 0, 14, 0);
    if ((head[3]! & 4) === 0 || head.toString("latin1", 12, 14) !== "BC") return;
    const tail = Buffer.alloc(BGZF_END.length);
    await handle.read(tail, 0, tail.length, Math.max(0, sizeBytes - tail.length));
    if (!tail.equals(BGZF_END))
      throw damaged(
        path,
        "gzip",
        "is cut off between two blocks",
        `${sizeBytes} bytes and no block that ends them`,
      );
  } finally {
    await handle.close();
  }
}

/**
 * The bytes of a compressed file, unpacked.
 * @throws ParetoError DATA_COMPRESSION with the place in bytes, FILE_REFUSED; the signal's reason when it is aborted
 */
export async function* unpack(
  path: string,
  packing: Packing,
  signal?: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { size } = await stat(path);
  let unpacked = 0;
  for (let start = 0; start < size;) {
    const codec =
      packing === "gzip"
        ? createGunzip({ chunkSize: CHUNK_BYTES })
        : createZstdDecompress({ chunkSize: CHUNK_BYTES });
    const file = createReadStream(path, { start, highWaterMark: CHUNK_BYTES });
    let refused: unknown = null;
    file.on("error", (error) => {
      refused = error;
      codec.destroy(error);
    });
    const before = unpacked;
    try {
      for await (const chunk of file.pipe(codec) as AsyncIterable<Buffer>) {
        signal?.throwIfAborted();
        unpacked += chunk.length;
        yield chunk;
      }
    } catch (error) {
      signal?.throwIfAborted();
      if (refused !== null) throw fileError(refused, path);
      if (error instanceof ParetoError) throw error;
      throw describe(error, start, start + codec.bytesWritten, unpacked > before);
    } finally {
      file.destroy();
      codec.destroy();
    }
    const used = codec.bytesWritten;
    start += used;
    if (start < size && packing === "gzip" && !(await hasMore(path, start))) break;
    if (used === 0)
      throw damaged(path, packing, `is damaged at byte ${start}`, `${size - start} bytes that are no data`);
  }
  if (packing === "gzip") await checkBgzf(path, size);

  function describe(error: unknown, start: number, at: number, gave: boolean): ParetoError {
    const text = error instanceof Error ? error.message : String(error);
    if (/unexpected end/i.test(text)) {
      const got = `the end of the file at byte ${at}`;
      return damaged(path, packing, `is cut off after ${unpacked} bytes of text`, got, error);
    }
    const isTail = !gave && unpacked > 0 && /header|frame descriptor|prefix/i.test(text);
    return isTail
      ? damaged(
          path,
          packing,
          `goes on behind its end with other data`,
          `${size - start} bytes from byte ${start}`,
          error,
        )
      : damaged(path, packing, `is damaged before byte ${at}, after ${unpacked} bytes of text`, text, error);
  }
}
