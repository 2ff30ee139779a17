/** @file A whole safetensors file from named tensors whose elements are asked for when it is their turn. */
import type { TypedArray } from "./dtype.ts";
import { fileError } from "./fileErrors.ts";
import { SafetensorsWriter, type TensorDeclaration } from "./safetensors.ts";

/** A tensor to be saved. */
export interface TensorSource extends TensorDeclaration {
  /** Its elements in row-major order, in pieces of any length; a piece may be overwritten once the next is asked for. */
  chunks: () => Iterable<TypedArray> | AsyncIterable<TypedArray>;
}

/**
 * Writes a file; none is left behind when that fails.
 * @param path its folder is made if absent
 * @param metadata free text, in the file's `__metadata__`
 * @param onChunk receives each piece before it is written
 * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED, and what reading the elements throws
 */
export async function writeSafetensors(
  path: string,
  tensors: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
  onChunk?: (tensor: string, chunk: TypedArray) => void,
): Promise<void> {
  const writer = await SafetensorsWriter.create(path, tensors, metadata);
  try {
    for (const { name, chunks } of tensors) {
      for await (const chunk of chunks()) {
        onChunk?.(name, chunk);
        await writer.write(name, chunk);
      }
    }
    await writer.finish();
  } catch (error) {
    await writer.abort();
    throw fileError(error, path);
  }
}
