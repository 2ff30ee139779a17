/**
 * @file Writes a trained model as Hugging Face publishes it: `config.json`, `tokenizer.json`, and bfloat16 weights in
 * `model.safetensors`, or in several files of at most {@link FILE_BYTES} with `model.safetensors.index.json`.
 */
import { join } from "node:path";
import { encodeHalf } from "../../base/half.ts";
import { writeText } from "../../base/files.ts";
import { sizeOf, type Shape } from "../../base/shape.ts";
import { writeSafetensors } from "../../base/writeSafetensors.ts";
import type { LmNetwork } from "./lmNetwork.ts";

/** Most bytes of tensors in a file. */
const FILE_BYTES = 8_000_000;
const ELEMENT_BYTES = 2;

interface Part {
  names: string[];
  bytes: number;
}

/** Tensors in files, in order; each file is filled before the next begins. */
function partsOf(names: readonly string[], shapeOf: (name: string) => Shape): Part[] {
  const parts: Part[] = [];
  for (const name of names) {
    const bytes = ELEMENT_BYTES * sizeOf(shapeOf(name));
    const last = parts.at(-1);
    if (last && last.bytes + bytes <= FILE_BYTES) {
      last.names.push(name);
      last.bytes += bytes;
    } else parts.push({ names: [name], bytes });
  }
  return parts;
}

/**
 * Saves a model.
 * @param directory made if absent
 * @param config contents of `config.json`
 * @param tokenizer contents of `tokenizer.json`
 * @throws ParetoError FILE_DISK_FULL, FILE_REFUSED
 */
export async function saveModel(
  directory: string,
  network: Pick<LmNetwork, "parameters" | "readWeight">,
  { config, tokenizer }: { config: object; tokenizer: object },
): Promise<void> {
  const { parameters } = network;
  const parts = partsOf(parameters.names, (name) => parameters.shapeOf(name));
  const fileOf = (i: number) =>
    parts.length === 1
      ? "model.safetensors"
      : `model-${String(i + 1).padStart(5, "0")}-of-${String(parts.length).padStart(5, "0")}.safetensors`;
  for (const [i, { names }] of parts.entries()) {
    const tensors = names.map((name) => ({
      name,
      dtype: "bfloat16" as const,
      shape: parameters.shapeOf(name),
      async *chunks() {
        yield encodeHalf("bfloat16", await network.readWeight(name));
      },
    }));
    await writeSafetensors(join(directory, fileOf(i)), tensors, { format: "pt" });
  }
  const json = (name: string, value: object, indent?: number) =>
    writeText(join(directory, name), `${JSON.stringify(value, null, indent)}\n`);
  if (parts.length > 1) {
    const total = parts.reduce((n, { bytes }) => n + bytes, 0);
    const map = Object.fromEntries(parts.flatMap(({ names }, i) => names.map((name) => [name, fileOf(i)])));
    await json("model.safetensors.index.json", { metadata: { total_size: total }, weight_map: map }, 1);
  }
  await json("tokenizer.json", tokenizer);
  await json("config.json", config, 1);
}
