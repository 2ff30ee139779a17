/**
 * @file Models in the first layout of llama2.c (https://github.com/karpathy/llama2.c, `legacy_export`): seven int32 –
 * dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size (negative when the head is a matrix of its own), seq_len –
 * and then float32 tensors, each kind for all layers at once. Pairs of the rotation are interleaved, θ = 10000,
 * ε = 1e-5; tokens 1 and 2 begin and end a text.
 */
import { open, type FileHandle } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { invariant } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { viewBytes } from "../../base/dtype.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { damagedModel, missingFile } from "./modelErrors.ts";
import type { ModelFiles } from "./weights.ts";

const HEADER_BYTES = 28;

/** Where tensors lie: name to first element, counted behind the header, and elements. */
type Places = Map<string, { start: number; size: number }>;

function placeTensors(c: DecoderConfig): { places: Places; size: number } {
  const places: Places = new Map();
  let end = 0;
  const single = (name: string, size: number) => {
    places.set(name, { start: end, size });
    end += size;
  };
  const layered = (name: string, size: number) => {
    for (let layer = 0; layer < c.layers; layer++) single(`model.layers.${layer}.${name}.weight`, size);
  };
  const kvWidth = c.kvHeads * c.headDim;
  single("model.embed_tokens.weight", c.vocabSize * c.hiddenSize);
  layered("input_layernorm", c.hiddenSize);
  layered("self_attn.q_proj", c.hiddenSize * c.hiddenSize);
  layered("self_attn.k_proj", kvWidth * c.hiddenSize);
  layered("self_attn.v_proj", kvWidth * c.hiddenSize);
  layered("self_attn.o_proj", c.hiddenSize * c.hiddenSize);
  layered("post_attention_layernorm", c.hiddenSize);
  layered("mlp.gate_proj", c.intermediateSize * c.hiddenSize);
  layered("mlp.down_proj", c.intermediateSize * c.hiddenSize);
  layered("mlp.up_proj", c.intermediateSize * c.hiddenSize);
  single("model.norm.weight", c.hiddenSize);
  // Cosines and sines of the rotation, which are computed here.
  end += c.maxPositions * c.headDim;
  if (!c.tieWordEmbeddings) single("lm_head.weight", c.vocabSize * c.hiddenSize);
  return { places, size: end };
}

function configOf(header: Int32Array, path: string): DecoderConfig {
  const [hiddenSize, intermediateSize, layers, heads, kvHeads, vocabulary, maxPositions] = Array.from(
    header,
  ) as [number, number, number, number, number, number, number];
  const headDim = hiddenSize / heads;
  const isPlausible =
    [hiddenSize, intermediateSize, layers, heads, kvHeads, Math.abs(vocabulary), maxPositions].every(
      (n) => n >= 1 && n <= 2 ** 24,
    ) &&
    Number.isInteger(headDim) &&
    headDim % 2 === 0 &&
    heads % kvHeads === 0;
  if (!isPlausible)
    throw damagedModel(path, "a llama2.c file (version 0) begins with its sizes", header.join(", "));
  return {
    family: "llama",
    modelType: "llama2.c",
    layers,
    hiddenSize,
    heads,
    kvHeads,
    headDim,
    intermediateSize,
    vocabSize: Math.abs(vocabulary),
    maxPositions,
    normEpsilon: 1e-5,
    activation: "silu",
    rotary: { dim: headDim, theta: 10_000, isInterleaved: true, scaling: { kind: "default" } },
    tieWordEmbeddings: vocabulary > 0,
    biases: { queryKeyValue: false, output: false, mlp: false },
    alibiSlopes: null,
    hasLearnedPositions: false,
    clip: null,
    logitScale: 1,
    hasHeadNorm: false,
    slidingWindow: null,
    attentionScale: () => 1 / Math.sqrt(headDim),
    eosTokenIds: [1, 2],
  };
}

/** Files that lie in a folder of a model, and are no model of llama2.c. */
const PART_OF_FOLDER = /\.(json|safetensors|gguf|pth?)$|^pytorch_model.*\.bin$/;

async function openFile(path: string): Promise<FileHandle> {
  if (PART_OF_FOLDER.test(basename(path))) {
    throw missingFile(
      path,
      "a model is a folder, or a llama2.c .bin file",
      basename(path),
      `Give the model's folder, e.g. ${dirname(path)}.`,
    );
  }
  return open(path, "r").catch((error: unknown) => {
    throw fileError(error, path);
  });
}

async function readHead(handle: FileHandle, path: string): Promise<DecoderConfig> {
  const header = new Int32Array(HEADER_BYTES / 4);
  const { bytesRead } = await handle.read(viewBytes(header), 0, HEADER_BYTES, 0);
  if (bytesRead < HEADER_BYTES)
    throw damagedModel(path, `a llama2.c file begins with ${HEADER_BYTES} bytes of sizes`, bytesRead);
  return configOf(header, path);
}

/**
 * The shape of the model in a `.bin` file, from its first bytes.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, FILE_MISSING, FILE_REFUSED
 */
export async function readLlama2cConfig(path: string): Promise<DecoderConfig> {
  const handle = await openFile(path);
  try {
    return await readHead(handle, path);
  } finally {
    await handle.close();
  }
}

/**
 * Opens a `.bin` file and checks its size.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, FILE_MISSING, FILE_REFUSED
 */
export async function openLlama2c(path: string): Promise<ModelFiles> {
  const handle = await openFile(path);
  try {
    const { size } = await handle.stat();
    const config = await readHead(handle, path);
    const { places, size: elements } = placeTensors(config);
    const expected = HEADER_BYTES + 4 * elements;
    if (size !== expected)
      throw damagedModel(path, `by its sizes the file must have ${expected} bytes`, size);
    const read = async (name: string) => {
      const place = places.get(name);
      invariant(place, `the layout of llama2.c has ${name}`);
      const values = new Float32Array(place.size);
      const bytes = viewBytes(values);
      for (let at = 0; at < bytes.length;) {
        const position = HEADER_BYTES + 4 * place.start + at;
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, position);
        if (bytesRead === 0) throw damagedModel(path, "the file ended while it was read", position);
        at += bytesRead;
      }
      return values;
    };
    return {
      name: basename(path, ".bin"),
      config,
      read,
      readStored: async (name) => ({ dtype: "float32", elements: await read(name) }),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw fileError(error, path);
  }
}
