/** @file A tiny Llama with random weights that speaks the words of the synthetic tasks, as a folder. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SafetensorsWriter } from "../../../src/base/safetensors.ts";
import { Rng } from "../../../src/base/rng.ts";
import { sizeOf } from "../../../src/base/shape.ts";
import { readConfig } from "../../../src/llm/load/readConfig.ts";
import { decoderOf } from "../../../src/llm/models/models.ts";
import { WORDS } from "../../../src/llm/tasks/words.ts";
import { wordTokenizer } from "../../../src/llm/tasks/wordTokenizer.ts";

const CONFIG = {
  model_type: "llama",
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  vocab_size: WORDS.length,
  rms_norm_eps: 1e-5,
  rope_theta: 10_000,
  max_position_embeddings: 256,
  tie_word_embeddings: true,
};

/** Writes the model. */
export async function writeWordModel(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = JSON.stringify(CONFIG);
  await writeFile(join(folder, "config.json"), config);
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(wordTokenizer()));
  const tensors = [...decoderOf(readConfig(config, folder)).tensors];
  const file = join(folder, "model.safetensors");
  const writer = await SafetensorsWriter.create(
    file,
    tensors.map(([name, shape]) => ({ name, dtype: "float32", shape })),
    {},
  );
  const rng = new Rng(3);
  for (const [name, shape] of tensors) {
    await writer.write(
      name,
      Float32Array.from({ length: sizeOf(shape) }, () => 0.5 * rng.normal()),
    );
  }
  await writer.finish();
}
