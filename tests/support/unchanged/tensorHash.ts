/**
 * @file Hashes of what a run has learned, over the contents of tensors alone: neither names, nor their order, nor the
 * layout of files, nor metadata counts. Reads the safetensors format by itself.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

/** What a folder's tensors come to. */
export interface TensorsHash {
  /** Of the sorted hashes of every tensor's dtype, shape and bytes. */
  sha256: string;
  tensors: number;
  elements: number;
}

type Header = Record<string, { dtype: string; shape: number[]; data_offsets: [number, number] }>;

const sha256 = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** Hashes all tensors of the safetensors files that lie in a folder. */
export async function hashTensors(folder: string): Promise<TensorsHash> {
  const files = (await readdir(folder)).filter((file) => file.endsWith(".safetensors"));
  const hashes: string[] = [];
  let elements = 0;
  for (const file of files) {
    const bytes = await readFile(join(folder, file));
    const dataStart = 8 + Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString("utf8", 8, dataStart)) as Header;
    for (const [name, tensor] of Object.entries(header)) {
      if (name === "__metadata__") continue;
      const [start, end] = tensor.data_offsets;
      const data = sha256(bytes.subarray(dataStart + start, dataStart + end));
      hashes.push(`${tensor.dtype} ${tensor.shape.join("x")} ${data}`);
      elements += tensor.shape.reduce((a, b) => a * b, 1);
    }
  }
  return { sha256: sha256(hashes.sort().join("\n")), tensors: hashes.length, elements };
}

/** Hashes an array's bytes, or a text. */
export function hashOf(value: ArrayBufferView | string): string {
  if (typeof value === "string") return sha256(value);
  return sha256(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
}
