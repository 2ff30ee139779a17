/**
 * @file The binary head of a FAE file, `fae.bin`: magic, version, header and hot rows, closed by a checksum.
 *
 * `PARETFAE` · version u32 · header bytes u32 · header (JSON, UTF-8, padded with spaces to 4) · rows u32[K] ·
 * CRC-32 u32 of all before; little-endian.
 */
import { crc32 } from "node:zlib";
import { z } from "zod";
import { parseJson, type JsonFormat } from "../../../base/jsonFile.ts";
import type { FaeConfig } from "./calibrate.ts";

const MAGIC = "PARETFAE";
const VERSION = 1;
const FIXED_BYTES = 16;

/** A file that belongs to a FAE file, as it was when complete. */
export interface FilePrint {
  /** Path within the FAE file's directory. */
  path: string;
  sizeBytes: number;
  crc32: number;
}

/** What a FAE file says of itself. */
export interface FaeHeader {
  /** Hash of the training part that was split. */
  datasetHash: string;
  config: FaeConfig;
  /** Rows of each table. */
  tableSizes: number[];
  /** Hot rows (K). */
  hotRows: number;
  /** Access threshold that chose them; null under top-K. */
  threshold: number | null;
  sampledInputs: number;
  /** Share of all lookups that hit hot rows, of cold inputs too. */
  accessShare: number;
  hotInputs: number;
  coldInputs: number;
  /** Seconds that each stage took when the file was built. */
  seconds: { sample: number; select: number; partition: number };
  files: FilePrint[];
}

/** Bytes of a FAE head. */
export function encodeFaeHead(header: FaeHeader, rows: Uint32Array): Uint8Array {
  const json = Buffer.from(JSON.stringify(header));
  const padded = Math.ceil(json.length / 4) * 4;
  const out = Buffer.alloc(FIXED_BYTES + padded + 4 * rows.length + 4, " ");
  out.write(MAGIC, 0, "latin1");
  out.writeUInt32LE(VERSION, 8);
  out.writeUInt32LE(padded, 12);
  json.copy(out, FIXED_BYTES);
  let at = FIXED_BYTES + padded;
  for (const row of rows) at = out.writeUInt32LE(row, at);
  out.writeUInt32LE(crc32(out.subarray(0, at)), at);
  return out;
}

const count = z.int().min(0);
const seconds = z.number();

const headerFormat: JsonFormat<FaeHeader> = {
  noun: "FAE file",
  schema: z.object({
    datasetHash: z.string(),
    config: z.object({
      hot: z.string(),
      budgetBytes: z.number(),
      rowBytes: z.number(),
      sampleRate: z.number(),
      seed: z.number(),
    }),
    tableSizes: z.array(count),
    hotRows: count,
    threshold: z.number().nullable(),
    sampledInputs: count,
    accessShare: z.number(),
    hotInputs: count,
    coldInputs: count,
    seconds: z.object({ sample: seconds, select: seconds, partition: seconds }),
    files: z.array(z.object({ path: z.string(), sizeBytes: count, crc32: count })),
  }),
  codes: { damaged: "FAE_FILE" },
  fix: "Delete the folder: it is made again.",
};

/** A FAE head from its bytes, or why it is none. */
export function decodeFaeHead(
  head: Uint8Array,
): { header: FaeHeader; rows: Uint32Array } | { problem: string } {
  const bytes = Buffer.from(head.buffer, head.byteOffset, head.byteLength);
  if (bytes.length < FIXED_BYTES + 4 || bytes.toString("latin1", 0, 8) !== MAGIC) {
    return { problem: "it does not start like a FAE file" };
  }
  const version = bytes.readUInt32LE(8);
  if (version !== VERSION) return { problem: `its version is ${version}, not ${VERSION}` };
  const end = bytes.length - 4;
  if (crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end))
    return { problem: "its checksum does not match" };
  const start = FIXED_BYTES + bytes.readUInt32LE(12);
  if (start > end) return { problem: `its header should end at byte ${start} of ${end}` };
  let header: FaeHeader;
  try {
    header = parseJson(headerFormat, "header", bytes.toString("utf8", FIXED_BYTES, start));
  } catch (error) {
    return { problem: (error as Error).message };
  }
  if (end - start !== 4 * header.hotRows)
    return { problem: `its header names ${header.hotRows} hot rows, and it holds ${(end - start) / 4}` };
  const rows = Uint32Array.from({ length: header.hotRows }, (_, k) => bytes.readUInt32LE(start + 4 * k));
  return { header, rows };
}
