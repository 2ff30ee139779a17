/** @file Bytes of a safetensors file whose header is written as given, right or wrong. */

/** A tensor with its bytes; `entry` changes what the header says of it. */
export interface RawTensor {
  name: string;
  dtype: string;
  shape: readonly number[];
  bytes: Uint8Array;
  entry?: Record<string, unknown>;
}

/** The file. @param change of the whole header */
export function rawSafetensors(
  tensors: readonly RawTensor[],
  change: (header: Record<string, unknown>) => unknown = (header) => header,
): Buffer {
  let end = 0;
  const header: Record<string, unknown> = {};
  for (const { name, dtype, shape, bytes, entry } of tensors) {
    const start = end;
    end += bytes.length;
    header[name] = { dtype, shape, data_offsets: [start, end], ...entry };
  }
  const json = Buffer.from(JSON.stringify(change(header)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...tensors.map(({ bytes }) => bytes)]);
}

/** A float32 tensor. */
export function rawFloats(name: string, shape: readonly number[], value: (i: number) => number): RawTensor {
  const size = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: size }, (_, i) => value(i));
  return { name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
}
