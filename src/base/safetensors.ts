/**
 * @file Named tensors in a file of the safetensors format, written and read in pieces, so that neither side ever
 * needs a tensor in memory. Element types: F32, F64, F16, BF16 (as bit patterns), I32, BOOL. Files of any size; a
 * file appears whole or not at all.
 */
import { open, type FileHandle } from "node:fs/promises";
import { endianness } from "node:os";
import { allocate, type DType, dtypeBytes, type TypedArray, viewBytes } from "./dtype.ts";
import { invariant, ParetoError } from "./errors.ts";
import { fileError } from "./fileErrors.ts";
import { PartialFile } from "./partialFile.ts";
import { sizeOf, type Shape } from "./shape.ts";
import {
  damaged,
  decodeHeader,
  encodeHeader,
  headerLength,
  LENGTH_BYTES,
  placeTensors,
  type SafetensorsHeader,
  type TensorEntry,
} from "./safetensorsHeader.ts";

/** Most bytes of one read. */
const PIECE_BYTES = 64 * 2 ** 20;

/** A tensor to be written. */
export interface TensorDeclaration {
  name: string;
  dtype: DType;
  shape: Shape;
}

function requireLittleEndian(path: string): void {
  if (endianness() === "LE") return;
  throw new ParetoError({
    code: "SAFETENSORS_ENDIANNESS",
    where: path,
    message: "safetensors files hold little-endian numbers, got a big-endian machine",
    fix: "Use a little-endian machine (x86-64, ARM).",
  });
}

/** Writes a file, tensor after tensor. */
export class SafetensorsWriter {
  readonly #file: PartialFile;
  readonly #tensors: [string, TensorEntry][];
  #current = 0;
  #written = 0;

  private constructor(file: PartialFile, tensors: ReadonlyMap<string, TensorEntry>) {
    this.#file = file;
    this.#tensors = [...tensors];
    this.#skipEmpty();
  }

  /**
   * Starts a file.
   * @param tensors in the order in which they will be written
   * @param metadata free text, in the file's `__metadata__`
   * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
   */
  static async create(
    path: string,
    tensors: readonly TensorDeclaration[],
    metadata: Readonly<Record<string, string>> = {},
  ): Promise<SafetensorsWriter> {
    requireLittleEndian(path);
    const placed = placeTensors(tensors);
    invariant(
      placed.size === tensors.length && !placed.has("__metadata__"),
      "tensors have names of their own",
    );
    const file = await PartialFile.create(path);
    try {
      await file.write(encodeHeader(placed, metadata));
      return new SafetensorsWriter(file, placed);
    } catch (error) {
      await file.abort();
      throw error;
    }
  }

  /**
   * Writes the next elements of the tensor whose turn it is; once it returns, the array may be used again.
   * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
   */
  async write(name: string, chunk: TypedArray): Promise<void> {
    if (chunk.length === 0) return;
    const [due, entry] = this.#tensors[this.#current] ?? [];
    invariant(entry && name === due, `elements of "${due ?? "no tensor"}" are due, got those of "${name}"`);
    invariant(
      allocate(entry.dtype, 0).constructor === chunk.constructor,
      `"${name}" is ${entry.dtype}, got a ${chunk.constructor.name}`,
    );
    this.#written += chunk.byteLength;
    invariant(
      this.#written <= entry.sizeBytes,
      `"${name}" has ${entry.sizeBytes} bytes, got ${this.#written}`,
    );
    await this.#file.write(viewBytes(chunk));
    if (this.#written < entry.sizeBytes) return;
    this.#current++;
    this.#written = 0;
    this.#skipEmpty();
  }

  /** Completes the file and gives it its name. @throws ParetoError FILE_DISK_FULL, FILE_REFUSED */
  async finish(): Promise<void> {
    invariant(
      this.#current === this.#tensors.length,
      `"${this.#tensors[this.#current]?.[0]}" is not complete`,
    );
    await this.#file.commit();
  }

  /** Gives up and removes what was written. */
  async abort(): Promise<void> {
    await this.#file.abort();
  }

  #skipEmpty(): void {
    while (this.#tensors[this.#current]?.[1].sizeBytes === 0) this.#current++;
  }
}

/** An open file. */
export class SafetensorsFile {
  readonly path: string;
  /** Tensors by name, in the order in which they lie. */
  readonly tensors: ReadonlyMap<string, { readonly dtype: DType; readonly shape: Shape }>;
  readonly metadata: Readonly<Record<string, string>>;
  readonly #entries: ReadonlyMap<string, TensorEntry>;
  readonly #handle: FileHandle;
  readonly #dataStart: number;

  private constructor(path: string, handle: FileHandle, header: SafetensorsHeader, dataStart: number) {
    this.path = path;
    this.tensors = header.tensors;
    this.metadata = header.metadata;
    this.#entries = header.tensors;
    this.#handle = handle;
    this.#dataStart = dataStart;
  }

  /**
   * Opens a file and checks its header against its size.
   * @param isIgnored tells tensors by name that are left out, whatever their element type
   * @throws ParetoError FILE_MISSING, FILE_REFUSED, SAFETENSORS_DAMAGED, SAFETENSORS_LIMIT, SAFETENSORS_DTYPE
   */
  static async open(path: string, isIgnored?: (name: string) => boolean): Promise<SafetensorsFile> {
    requireLittleEndian(path);
    let handle: FileHandle | undefined;
    try {
      handle = await open(path, "r");
      const { size } = await handle.stat();
      const first = Buffer.alloc(Math.min(LENGTH_BYTES, size));
      await readFully(handle, first, 0, path);
      const json = Buffer.alloc(headerLength(path, first, size));
      await readFully(handle, json, LENGTH_BYTES, path);
      const header = decodeHeader(path, json, isIgnored);
      const dataStart = LENGTH_BYTES + json.length;
      const expected = dataStart + header.dataBytes;
      if (size !== expected) {
        const what = size < expected ? "it is cut off" : "bytes follow its last tensor";
        throw damaged(path, `${what}; its header promises ${expected} bytes`, `${size} bytes`);
      }
      return new SafetensorsFile(path, handle, header, dataStart);
    } catch (error) {
      await handle?.close();
      throw fileError(error, path);
    }
  }

  /**
   * Elements of a tensor, in row-major order.
   * @param first first element wanted
   * @param count elements wanted; all that follow when left out
   * @throws ParetoError SAFETENSORS_TENSOR for a name that the file lacks, SAFETENSORS_RANGE, SAFETENSORS_DAMAGED
   */
  async read(name: string, first = 0, count?: number): Promise<TypedArray> {
    const entry = this.#entries.get(name);
    if (!entry) {
      throw new ParetoError({
        code: "SAFETENSORS_TENSOR",
        where: this.path,
        message: `the file has no tensor of this name, got "${name}"`,
        fix: `It has: ${[...this.#entries.keys()].slice(0, 20).join(", ") || "no tensors"}.`,
      });
    }
    const size = sizeOf(entry.shape);
    const wanted = count ?? size - first;
    if (![first, wanted].every((n) => Number.isInteger(n) && n >= 0) || first + wanted > size) {
      throw new ParetoError({
        code: "SAFETENSORS_RANGE",
        where: this.path,
        message: `tensor "${name}" has ${size} elements, got a request for ${wanted} from element ${first}`,
        fix: "Ask for elements that the tensor has.",
      });
    }
    const array = allocate(entry.dtype, wanted);
    const start = this.#dataStart + entry.start + first * dtypeBytes(entry.dtype);
    await readFully(this.#handle, viewBytes(array), start, this.path);
    return array;
  }

  /** Closes the file. */
  async close(): Promise<void> {
    await this.#handle.close();
  }
}

async function readFully(
  handle: FileHandle,
  bytes: Uint8Array,
  position: number,
  path: string,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    const length = Math.min(PIECE_BYTES, bytes.length - at);
    const { bytesRead } = await handle.read(bytes, at, length, position + at).catch((error: unknown) => {
      throw fileError(error, path);
    });
    if (bytesRead === 0) throw damaged(path, "it ended while it was read", `${position + at} bytes`);
    at += bytesRead;
  }
}
