/**
 * @file One changed input from a seed: bytes anywhere, or, where a file is known by its bytes, inside its format. A JSON
 * text stays JSON, the header of a safetensors file keeps its length field right, and gzip is packed again.
 */
import { gunzipSync, gzipSync } from "node:zlib";
import type { Rng } from "../../src/base/rng.ts";
import { MOST_BYTES, mutateBytes, type MutationSource } from "./mutateBytes.ts";
import { mutateJson } from "./mutateJson.ts";
import type { FuzzTarget, SeedFiles } from "./target.ts";

/** A file that differs from its seed. */
export interface ChangedFile {
  path: string;
  bytes: Uint8Array;
}

/** Changes a file of a seed, sometimes two. */
export function mutate(
  target: FuzzTarget,
  seeds: readonly SeedFiles[],
  seed: SeedFiles,
  rng: Rng,
): ChangedFile[] {
  const paths = [...seed.keys()];
  const changed = new Map<string, Uint8Array>();
  for (let left = rng.integer(8) === 0 ? 2 : 1; left > 0; left--) {
    const path = paths[rng.integer(paths.length)]!;
    const otherSeed = seeds[rng.integer(seeds.length)]!;
    const other = otherSeed.get(path) ?? [...otherSeed.values()][rng.integer(otherSeed.size)]!;
    let bytes = mutateFile(seed.get(path)!, { rng, words: target.words, other });
    // One in eight keeps its wrong checksums, as files that were damaged do.
    if (target.mend && rng.integer(8) > 0) bytes = target.mend(path, bytes);
    changed.set(path, bytes);
  }
  return Array.from(changed, ([path, bytes]) => ({ path, bytes }));
}

function mutateFile(bytes: Uint8Array, source: MutationSource): Uint8Array {
  const { rng } = source;
  if (rng.integer(2) === 0) return mutateBytes(bytes, source);
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      return gzipSync(mutateBytes(gunzipSync(bytes), source), { level: 1 });
    } catch {
      return mutateBytes(bytes, source);
    }
  }
  return mutateSafetensors(bytes, rng) ?? mutateJsonFile(bytes, rng) ?? mutateBytes(bytes, source);
}

function mutateJsonFile(bytes: Uint8Array, rng: Rng): Uint8Array | null {
  if (bytes.length > MOST_BYTES || !["{", "["].includes(String.fromCharCode(bytes[0] ?? 0))) return null;
  const text = mutateJson(Buffer.from(bytes).toString(), rng);
  return text === null ? null : Buffer.from(text).subarray(0, MOST_BYTES);
}

/** A header of JSON behind its length in 8 bytes. */
function mutateSafetensors(bytes: Uint8Array, rng: Rng): Uint8Array | null {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (file.length < 10 || file[8] !== 0x7b) return null;
  const length = Number(file.readBigUInt64LE(0));
  if (length > file.length - 8) return null;
  const header = mutateJson(file.toString("utf8", 8, 8 + length), rng);
  if (header === null) return null;
  const text = Buffer.from(header.padEnd(8 * Math.ceil(header.length / 8)));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([size, text, file.subarray(8 + length)]);
}
