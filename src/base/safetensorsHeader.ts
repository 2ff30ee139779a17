/**
 * @file The header of a safetensors file: 8 bytes of length (u64, little-endian), then that many bytes of JSON
 * that name each tensor's element type, shape and place in the data behind it.
 *
 * Headers are not trusted: sizes and counts have limits, and the tensors must tile the data without hole or
 * overlap, as the format demands (https://github.com/huggingface/safetensors#format).
 */
import type { DType } from "./dtype.ts";
import { ParetoError } from "./errors.ts";
import { JsonTextError, parseJsonText } from "./jsonText.ts";
import { tensorBytes, type Shape } from "./shape.ts";

/** Longest header that is read, the format's own limit. */
const MAX_HEADER_BYTES = 100_000_000;
/** Most tensors of a file. */
const MAX_TENSORS = 1_000_000;
/** Most axes of a tensor. */
const MAX_RANK = 32;
/** Bytes of the header's length. */
export const LENGTH_BYTES = 8;

/** A tensor as a file declares it. */
export interface TensorEntry {
  readonly dtype: DType;
  readonly shape: Shape;
  /** First byte, counted from the end of the header. */
  readonly start: number;
  /** Bytes that it takes. */
  readonly sizeBytes: number;
}

/** What a file holds. */
export interface SafetensorsHeader {
  /** In the order of their places. */
  tensors: Map<string, TensorEntry>;
  metadata: Record<string, string>;
  /** Bytes of all tensors. */
  dataBytes: number;
}

const codes: Readonly<Record<DType, string>> = {
  float32: "F32",
  float64: "F64",
  float16: "F16",
  bfloat16: "BF16",
  int32: "I32",
  bool: "BOOL",
};
/** Bytes of an element by code, also of types that are not read; types of less than a byte are left out. */
const elementBytes = new Map(
  Object.entries({
    8: ["F64", "I64", "U64", "C64"],
    4: ["F32", "I32", "U32"],
    2: ["F16", "BF16", "I16", "U16"],
    1: ["I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"],
  }).flatMap(([bytes, names]) => names.map((name): [string, number] => [name, Number(bytes)])),
);
const dtypes = new Map(Object.entries(codes).map(([dtype, code]) => [code, dtype as DType]));

/** A file that is not what its format says. */
export function damaged(path: string, what: string, received: string | number): ParetoError {
  return new ParetoError({
    code: "SAFETENSORS_DAMAGED",
    where: path,
    message: `the safetensors file is damaged: ${what}, got ${received}`,
    fix: "Write the file again, or copy it again from where it came.",
  });
}

function limit(path: string, what: string, most: number, received: number): ParetoError {
  return new ParetoError({
    code: "SAFETENSORS_LIMIT",
    where: path,
    message: `a safetensors file may have at most ${most} ${what}, got ${received}`,
    fix: "Check that this is a safetensors file; split it if it really is so large.",
  });
}

/** Places tensors one behind the other, in the order given. */
export function placeTensors(
  tensors: readonly { name: string; dtype: DType; shape: Shape }[],
): Map<string, TensorEntry> {
  let start = 0;
  const placed = new Map<string, TensorEntry>();
  for (const { name, dtype, shape } of tensors) {
    const sizeBytes = tensorBytes({ shape, dtype });
    placed.set(name, { dtype, shape: [...shape], start, sizeBytes });
    start += sizeBytes;
  }
  return placed;
}

/** The header's bytes, its length in front, padded with spaces so that the data starts at a multiple of 8. */
export function encodeHeader(
  tensors: ReadonlyMap<string, TensorEntry>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: [string, unknown][] = [...tensors].map(([name, { dtype, shape, start, sizeBytes }]) => [
    name,
    { dtype: codes[dtype], shape, data_offsets: [start, start + sizeBytes] },
  ]);
  if (Object.keys(metadata).length > 0) entries.unshift(["__metadata__", metadata]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(LENGTH_BYTES + length, " ");
  bytes.writeBigUInt64LE(BigInt(length));
  json.copy(bytes, LENGTH_BYTES);
  return bytes;
}

/**
 * The length of a header.
 * @param first the file's first 8 bytes, or fewer when it is shorter
 * @throws ParetoError SAFETENSORS_DAMAGED, SAFETENSORS_LIMIT
 */
export function headerLength(path: string, first: Buffer, fileBytes: number): number {
  if (first.length < LENGTH_BYTES)
    throw damaged(path, "it is shorter than the length of its header", `${first.length} bytes`);
  const length = Number(first.readBigUInt64LE());
  if (length > MAX_HEADER_BYTES) throw limit(path, "bytes of header", MAX_HEADER_BYTES, length);
  if (LENGTH_BYTES + length > fileBytes) {
    throw damaged(path, `its header of ${length} bytes is cut off`, `${fileBytes} bytes`);
  }
  return length;
}

/**
 * Reads a header's JSON.
 * @param isIgnored tells tensors by name whose place is checked and that are left out: their element type may be any
 * @throws ParetoError SAFETENSORS_DAMAGED, SAFETENSORS_LIMIT, SAFETENSORS_DTYPE
 */
export function decodeHeader(
  path: string,
  json: Buffer,
  isIgnored: (name: string) => boolean = () => false,
): SafetensorsHeader {
  let header: unknown;
  try {
    header = parseJsonText(new TextDecoder("utf-8", { fatal: true }).decode(json));
  } catch (error) {
    if (error instanceof JsonTextError) throw damaged(path, `its header ${error.problem}`, error.received);
    throw damaged(path, "its header is not UTF-8", JSON.stringify(json.subarray(0, 40).toString("latin1")));
  }
  if (!isRecord(header))
    throw damaged(path, "its header is not an object", JSON.stringify(header).slice(0, 40));
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__");
  if (entries.length > MAX_TENSORS) throw limit(path, "tensors", MAX_TENSORS, entries.length);
  const places = entries.map(([name, entry]) => ({ name, ...decodePlace(path, name, entry) }));
  places.sort((a, b) => a.start - b.start || a.sizeBytes - b.sizeBytes);
  const tensors = new Map<string, TensorEntry>();
  let end = 0;
  for (const place of places) {
    const { name, start, sizeBytes } = place;
    if (isIgnored(name)) requireBytes(path, name, place, elementBytes.get(String(place.code)));
    else tensors.set(name, decodeEntry(path, name, place));
    if (start !== end)
      throw damaged(path, `tensor "${name}" must start at byte ${end}, where the one before ends`, start);
    end += sizeBytes;
  }
  const metadata = Object.hasOwn(header, "__metadata__") ? header["__metadata__"] : {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw damaged(path, "__metadata__ must map names to texts", JSON.stringify(metadata).slice(0, 40));
  }
  return { tensors, metadata: metadata as Record<string, string>, dataBytes: end };
}

/** Where a tensor lies, and what is said of its elements. */
interface Place {
  start: number;
  sizeBytes: number;
  shape: number[];
  code: unknown;
}

function badTensor(path: string, name: string, what: string, received: unknown): ParetoError {
  return damaged(path, `tensor "${name}" ${what}`, String(JSON.stringify(received)).slice(0, 80));
}

function decodePlace(path: string, name: string, entry: unknown): Place {
  const fail = (what: string, received: unknown) => badTensor(path, name, what, received);
  if (!isRecord(entry)) throw fail("is not described by an object", entry);
  const { dtype: code, shape, data_offsets: offsets } = entry;
  if (!Array.isArray(shape) || !shape.every(isCount)) throw fail("has no valid shape", shape);
  if (shape.length > MAX_RANK) throw limit(path, `axes in tensor "${name}"`, MAX_RANK, shape.length);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    throw fail("has no valid data_offsets", offsets);
  }
  const [start, end] = offsets as [number, number];
  if (end < start) throw fail("has no valid data_offsets", offsets);
  return { start, sizeBytes: end - start, shape: shape as number[], code };
}

function decodeEntry(path: string, name: string, place: Place): TensorEntry {
  const { start, sizeBytes, shape, code } = place;
  const dtype = typeof code === "string" ? dtypes.get(code) : undefined;
  if (!dtype) {
    throw new ParetoError({
      code: "SAFETENSORS_DTYPE",
      where: path,
      message: `tensor "${name}" has an element type that is not supported, got ${JSON.stringify(code)}`,
      fix: `Convert it to one of: ${[...dtypes.keys()].join(", ")}.`,
    });
  }
  requireBytes(path, name, place, elementBytes.get(codes[dtype]));
  return { dtype, shape, start, sizeBytes };
}

/**
 * Checks that a tensor's shape takes the bytes that it is given.
 * @param element bytes of one; undefined where they are not known
 */
function requireBytes(
  path: string,
  name: string,
  { start, sizeBytes, shape }: Place,
  element: number | undefined,
): void {
  if (element === undefined) return;
  const needed = shape.reduce((product, size) => product * size, element);
  if (!Number.isSafeInteger(needed)) throw badTensor(path, name, "is larger than any file", shape);
  if (needed === sizeBytes) return;
  const takes = `of shape [${shape.join(", ")}] takes ${needed} bytes`;
  throw badTensor(path, name, takes, [start, start + sizeBytes]);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
