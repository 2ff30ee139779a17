/**
 * @file Models of llama2.c (https://github.com/karpathy/llama2.c, `export.py`), versions 0 and 1: float32 tensors, each
 * kind for all layers at once, behind seven int32 – dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size,
 * seq_len. Version 0 begins with these, and its vocab_size is negative when the head is a matrix of its own. Version 1
 * begins with the magic `ak42` and its number, says in a byte whether the head is the embedding, and pads to 256 bytes.
 * Version 2, of int8 weights, is refused by name: its exporters disagree about where its scales lie.
 *
 * What a header claims is compared with the size of the file before anything is made of it. Pairs of the rotation are
 * interleaved, θ = 10000, ε = 1e-5; tokens 1 and 2 begin and end a text.
 */
import { open, type FileHandle } from "node:fs/promises";
import { basename } from "node:path";
import { invariant } from "../../base/errors.ts";
import { fileError } from "../../base/fileErrors.ts";
import { viewBytes } from "../../base/dtype.ts";
import type { DecoderConfig } from "../models/decoder.ts";
import { damagedModel, unsupported } from "./modelErrors.ts";
import { FIRST_BYTES, refuseOtherFormat } from "./otherFormats.ts";
import type { ModelFiles } from "./weights.ts";

/** `ak42` as an int32. */
const MAGIC = 0x616b3432;
const SIZES = 7;
/** Bytes before the tensors, by version. */
const HEADER_BYTES = [4 * SIZES, 256] as const;
/** Where version 1 says whether the head is the embedding. */
const SHARED_HEAD = 8 + 4 * SIZES;

/** What the head of a file says. */
interface Head {
  version: 0 | 1;
  config: DecoderConfig;
}

/** Tensors of one kind, one behind the other. */
interface Kind {
  /** Names, from the number of a layer where each layer has one; null for what is skipped. */
  name: string | null;
  isLayered: boolean;
  /** Elements of each. */
  size: number;
}

/** The tensors in the order of the file. */
function kindsOf({ version, config: c }: Head): Kind[] {
  const kvWidth = c.kvHeads * c.headDim;
  const single = (name: string | null, size: number): Kind => ({ name, isLayered: false, size });
  const layered = (name: string, size: number): Kind => ({ name, isLayered: true, size });
  const embedding = single("model.embed_tokens.weight", c.vocabSize * c.hiddenSize);
  const norms = [
    layered("input_layernorm", c.hiddenSize),
    layered("post_attention_layernorm", c.hiddenSize),
  ] as const;
  const attention = [
    layered("self_attn.q_proj", c.hiddenSize * c.hiddenSize),
    layered("self_attn.k_proj", kvWidth * c.hiddenSize),
    layered("self_attn.v_proj", kvWidth * c.hiddenSize),
    layered("self_attn.o_proj", c.hiddenSize * c.hiddenSize),
  ];
  const mlp = ["gate_proj", "down_proj", "up_proj"].map((name) =>
    layered(`mlp.${name}`, c.intermediateSize * c.hiddenSize),
  );
  const last = single("model.norm.weight", c.hiddenSize);
  const head = c.tieWordEmbeddings ? [] : [single("lm_head.weight", c.vocabSize * c.hiddenSize)];
  if (version === 1) return [...norms, last, embedding, ...attention, ...mlp, ...head];
  // Cosines and sines of the rotation, which are computed here.
  const angles = single(null, c.maxPositions * c.headDim);
  return [embedding, norms[0], ...attention, norms[1], ...mlp, last, angles, ...head];
}

function configOf(sizes: readonly number[], isShared: boolean | null, path: string): DecoderConfig {
  const [hiddenSize, intermediateSize, layers, heads, kvHeads, vocabulary, maxPositions] =
    sizes as unknown as [number, number, number, number, number, number, number];
  const headDim = hiddenSize / heads;
  const isPlausible =
    [hiddenSize, intermediateSize, layers, heads, kvHeads, Math.abs(vocabulary), maxPositions].every(
      (n) => n >= 1 && n <= 2 ** 24,
    ) &&
    (isShared === null || vocabulary > 0) &&
    Number.isInteger(headDim) &&
    headDim % 2 === 0 &&
    heads % kvHeads === 0;
  if (!isPlausible) throw damagedModel(path, "a llama2.c file begins with its sizes", sizes.join(", "));
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
    tieWordEmbeddings: isShared ?? vocabulary > 0,
    biases: { queryKeyValue: false, output: false, mlp: false },
    alibiSlopes: null,
    hasLearnedPositions: false,
    clip: null,
    logitScale: 1,
    hasHeadNorm: false,
    slidingWindow: () => null,
    attentionScale: () => 1 / Math.sqrt(headDim),
    eosTokenIds: [1, 2],
  };
}

function headOf(first: Buffer, path: string): Head {
  const words = (from: number) => Array.from({ length: SIZES }, (_, i) => first.readInt32LE(from + 4 * i));
  if (first.length < HEADER_BYTES[0])
    throw damagedModel(path, `a llama2.c file begins with ${HEADER_BYTES[0]} bytes of sizes`, first.length);
  if (first.readInt32LE() !== MAGIC) return { version: 0, config: configOf(words(0), null, path) };
  const version = first.readInt32LE(4);
  if (version !== 1)
    throw unsupported(
      path,
      version === 2 ? "version 2 of llama2.c's format, int8 weights," : "this version of llama2.c's format",
      version,
      "version 0 or 1: export the model again by llama2.c's export.py with --version 0",
    );
  if (first.length <= SHARED_HEAD)
    throw damagedModel(
      path,
      `version 1 of llama2.c's format begins with ${HEADER_BYTES[1]} bytes`,
      first.length,
    );
  return { version, config: configOf(words(8), first[SHARED_HEAD] !== 0, path) };
}

/** Reads the head of an open file and checks its sizes against the file's. */
async function readHead(handle: FileHandle, path: string): Promise<Head> {
  const first = Buffer.alloc(FIRST_BYTES);
  const { bytesRead } = await handle.read(first, 0, FIRST_BYTES, 0);
  const { size } = await handle.stat();
  refuseOtherFormat(path, first.subarray(0, bytesRead));
  if (size === 0) throw damagedModel(path, "a model has bytes", "an empty file");
  const head = headOf(first.subarray(0, bytesRead), path);
  const { layers } = head.config;
  const elements = kindsOf(head).reduce((sum, kind) => sum + kind.size * (kind.isLayered ? layers : 1), 0);
  const expected = HEADER_BYTES[head.version] + 4 * elements;
  if (size !== expected)
    throw damagedModel(path, `by the sizes that it begins with the file must have ${expected} bytes`, size);
  return head;
}

/** First element, counted behind the header, and elements of each tensor. */
function placesOf(head: Head): Map<string, { start: number; size: number }> {
  const places = new Map<string, { start: number; size: number }>();
  let start = 0;
  for (const { name, isLayered, size } of kindsOf(head)) {
    for (let i = 0; i < (isLayered ? head.config.layers : 1); i++, start += size)
      if (name !== null) places.set(isLayered ? `model.layers.${i}.${name}.weight` : name, { start, size });
  }
  return places;
}

async function openFile(path: string): Promise<FileHandle> {
  return open(path, "r").catch((error: unknown) => {
    throw fileError(error, path);
  });
}

/**
 * The shape of the model in a `.bin` file, from its first bytes.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, FILE_MISSING, FILE_REFUSED
 */
export async function readLlama2cConfig(path: string): Promise<DecoderConfig> {
  const handle = await openFile(path);
  try {
    return (await readHead(handle, path)).config;
  } catch (error) {
    throw fileError(error, path);
  } finally {
    await handle.close();
  }
}

/**
 * Opens a `.bin` file and checks its size.
 * @throws ParetoError LLM_FILE_MISSING, LLM_MODEL_DAMAGED, LLM_UNSUPPORTED, FILE_MISSING, FILE_REFUSED
 */
export async function openLlama2c(path: string): Promise<ModelFiles> {
  const handle = await openFile(path);
  try {
    const head = await readHead(handle, path);
    const places = placesOf(head);
    const read = async (name: string) => {
      const place = places.get(name);
      invariant(place, `the layout of llama2.c has ${name}`);
      const values = new Float32Array(place.size);
      const bytes = viewBytes(values);
      for (let at = 0; at < bytes.length;) {
        const position = HEADER_BYTES[head.version] + 4 * place.start + at;
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, position);
        if (bytesRead === 0) throw damagedModel(path, "the file ended while it was read", position);
        at += bytesRead;
      }
      return values;
    };
    return {
      name: basename(path, ".bin"),
      config: head.config,
      generation: null,
      notices: [],
      read,
      readStored: async (name) => ({ dtype: "float32", elements: await read(name) }),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw fileError(error, path);
  }
}
