/** @file `checkpoint.json`: what it holds, and how a file that claims to be one is checked. */
import { crc32 } from "node:zlib";
import { z } from "zod";
import { ParetoError } from "../base/errors.ts";
import { parseJsonText } from "../base/jsonText.ts";
import { parseJson, readJsonText, unusableJson, type JsonFormat, type JsonValue } from "../base/jsonFile.ts";

/** The version of the format that is written, and the newest that is read. */
const VERSION = 1;

const schema = z.object({
  format: z.literal("pareto-checkpoint"),
  version: z.literal(VERSION),
  /** Version of Pareto that wrote it. */
  pareto: z.string(),
  kind: z.string(),
  /** ISO 8601. */
  savedAt: z.string(),
  /** The safetensors file beside it. */
  file: z.string().regex(/^[\w-]+\.safetensors$/),
  tensors: z.record(z.string(), z.object({ crc32: z.number() })),
  state: z.json(),
  /** Checksum of all of the above as compact JSON. */
  crc32: z.number(),
});

/** `checkpoint.json`. */
export type Manifest = Omit<z.infer<typeof schema>, "state"> & { state: JsonValue };

const manifestFormat: JsonFormat<Manifest> = {
  noun: "checkpoint",
  schema,
  newest: { version: VERSION },
  codes: { damaged: "CHECKPOINT_DAMAGED", version: "CHECKPOINT_VERSION" },
  fix: "Restore the folder from a copy, or train again.",
};

function checksum({ ...manifest }: Partial<Manifest>): number {
  delete manifest.crc32;
  return crc32(JSON.stringify(manifest));
}

/**
 * The file's text.
 * @throws ParetoError CHECKPOINT_STATE for a number that JSON cannot hold
 */
export function encodeManifest(path: string, manifest: Omit<Manifest, "crc32">): string {
  const text = JSON.stringify(manifest, (key, value: unknown) => {
    if (typeof value !== "number" || Number.isFinite(value)) return value;
    throw new ParetoError({
      code: "CHECKPOINT_STATE",
      where: path,
      message: `numbers of a checkpoint's state must be finite, got ${value} for "${key}"`,
      fix: "Save null, or a text, in its place.",
    });
  });
  const plain = JSON.parse(text) as Omit<Manifest, "crc32">;
  return `${JSON.stringify({ ...plain, crc32: checksum(plain) }, null, 2)}\n`;
}

/**
 * Reads the file; null where there is none.
 * @throws ParetoError CHECKPOINT_DAMAGED, CHECKPOINT_VERSION, FILE_REFUSED
 */
export async function readManifest(path: string): Promise<Manifest | null> {
  const text = await readJsonText(manifestFormat, path);
  if (text === null) return null;
  const manifest = parseJson(manifestFormat, path, text);
  // The checksum covers the text's own order of keys, which zod may change.
  const found = checksum(parseJsonText(text) as Manifest);
  if (found !== manifest.crc32) {
    throw damagedCheckpoint(path, `its checksum should be ${manifest.crc32}`, found);
  }
  return manifest;
}

/** The error for a checkpoint that cannot be used, code `CHECKPOINT_DAMAGED`. */
export function damagedCheckpoint(
  path: string,
  problem: string,
  received: unknown,
  cause?: unknown,
): ParetoError {
  return unusableJson(manifestFormat, path, problem, received, cause);
}
