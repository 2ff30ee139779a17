/** @file Language models: safetensors, tokenizers, configurations, whole folders, llama2.c, recipes, training text. */
import { join } from "node:path";
import { readFile } from "node:fs/promises";
import { SafetensorsFile } from "../../../src/base/safetensors.ts";
import { readConfig } from "../../../src/llm/load/readConfig.ts";
import { readGenerationConfig } from "../../../src/llm/load/generationConfig.ts";
import { openModel } from "../../../src/llm/load/openModel.ts";
import { decoderOf } from "../../../src/llm/models/models.ts";
import { bpeTokenizer, learnBpe } from "../../../src/llm/tokenizer/learnBpe.ts";
import { openTokenizerJson } from "../../../src/llm/tokenizer/tokenizerJson.ts";
import { readRecipe } from "../../../src/llm/training/recipe.ts";
import { writeTinyLlama2c } from "../../../tests/support/llm/tinyLlama2c.ts";
import { writeWordModel } from "../../../tests/support/llm/wordModel.ts";
import { filesBelow } from "../filesBelow.ts";
import { singleFiles, type FuzzTarget } from "../target.ts";

/** Texts that tokenizers find hard. */
const TEXT = "Hello,  wörld!! 日本 🙂 ΣΑΣ\t\n'll 123 \u00a0\ufeff<s>[MASK]e\u0301 ";

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

const safetensors: FuzzTarget = {
  name: "safetensors",
  async makeSeeds(scratch) {
    await writeWordModel(scratch);
    const bytes = await readFile(join(scratch, "model.safetensors"));
    const header = json({
      a: { dtype: "BF16", shape: [2, 2], data_offsets: [0, 8] },
      __metadata__: { format: "pt" },
    });
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    return singleFiles("model.safetensors", [bytes, Buffer.concat([length, header, Buffer.alloc(8)])]);
  },
  words: ['"F64"', '"I8"', '"BOOL"', '"data_offsets":[0,0]', "[0]", "[]", "__metadata__"],
  async read(folder) {
    const file = await SafetensorsFile.open(join(folder, "model.safetensors"));
    try {
      for (const name of file.tensors.keys()) await file.read(name);
    } finally {
      await file.close();
    }
  },
};

const byteLetters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
const vocabulary = (tokens: readonly string[]): Record<string, number> =>
  Object.fromEntries([...new Set(tokens)].map((token, i) => [token, i]));
const parts = {
  version: "1.0",
  added_tokens: [
    {
      id: 0,
      content: "<unk>",
      special: true,
      single_word: false,
      lstrip: false,
      rstrip: true,
      normalized: false,
    },
  ],
};

/** One tokenizer for each kind of model, with many of the other parts. */
const TOKENIZERS = [
  {
    ...parts,
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "NFKC" }, { type: "Lowercase" }, { type: "StripAccents" }],
    },
    pre_tokenizer: { type: "Whitespace" },
    model: { type: "WordLevel", vocab: vocabulary(["<unk>", "hello", "world", "!"]), unk_token: "<unk>" },
    decoder: null,
    post_processor: null,
  },
  {
    ...parts,
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    model: {
      type: "WordPiece",
      vocab: vocabulary([
        "<unk>",
        ...byteLetters,
        ...byteLetters.map((letter) => `##${letter}`),
        "he",
        "##llo",
      ]),
      unk_token: "<unk>",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    post_processor: {
      type: "TemplateProcessing",
      single: [{ SpecialToken: { id: "<unk>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
      pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
      special_tokens: { "<unk>": { id: "<unk>", ids: [0], tokens: ["<unk>"] } },
    },
  },
  {
    ...parts,
    normalizer: { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    model: {
      type: "Unigram",
      unk_id: 0,
      vocab: [["<unk>", 0], ["▁", -2], ["▁hello", -4], ...byteLetters.map((letter) => [letter, -5])],
      byte_fallback: false,
    },
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    post_processor: null,
  },
  {
    ...parts,
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [
        {
          type: "Split",
          pattern: { Regex: "\\d{1,3}|\\p{L}+|[^\\s\\p{L}\\d]+|\\s+(?!\\S)" },
          behavior: "Isolated",
          invert: false,
        },
        { type: "Digits", individual_digits: true },
        { type: "Punctuation", behavior: "Isolated" },
        { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
      ],
    },
    model: {
      type: "BPE",
      vocab: vocabulary(["<unk>", ...byteLetters, "he", "ll", "hell"]),
      merges: ["h e", "l l", "he ll"],
      unk_token: "<unk>",
      fuse_unk: false,
      byte_fallback: false,
      dropout: null,
      ignore_merges: false,
    },
    decoder: { type: "ByteLevel" },
    post_processor: { type: "ByteLevel", trim_offsets: true },
  },
];

const tokenizer: FuzzTarget = {
  name: "tokenizer",
  async makeSeeds() {
    const learned = bpeTokenizer(
      learnBpe("the cat sat on the mat and the dog sat on the log".repeat(3), 270),
    );
    return singleFiles("tokenizer.json", [...TOKENIZERS, learned].map(json));
  },
  words: [
    '"type":"ByteLevel"',
    '"type":"BPE"',
    '"type":"Unigram"',
    "(a+)+$",
    '{"Regex":"(\\\\w+)*x"}',
    '{"String":" "}',
    "##",
    "▁",
    "\\\\p{",
    "null",
    '"MergedWithPrevious"',
    '"Removed"',
    "\\ud800",
  ],
  async read(folder) {
    const made = await openTokenizerJson(folder);
    made.decode(made.encode(TEXT));
  },
};

const CONFIGS = [
  {
    model_type: "llama",
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    num_key_value_heads: 1,
    vocab_size: 100,
    rms_norm_eps: 1e-5,
    rope_theta: 1e4,
    max_position_embeddings: 256,
    rope_scaling: {
      rope_type: "llama3",
      factor: 8,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 128,
    },
    eos_token_id: [1, 2],
  },
  {
    model_type: "gpt2",
    n_embd: 16,
    n_layer: 2,
    n_head: 2,
    n_positions: 64,
    vocab_size: 100,
    layer_norm_epsilon: 1e-5,
    activation_function: "gelu_new",
  },
  {
    model_type: "qwen2",
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    vocab_size: 100,
    rms_norm_eps: 1e-6,
    sliding_window: 32,
    use_sliding_window: true,
    max_window_layers: 1,
    max_position_embeddings: 128,
  },
  {
    model_type: "mistral",
    hidden_size: 16,
    intermediate_size: 24,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    head_dim: 8,
    vocab_size: 100,
    rms_norm_eps: 1e-6,
    sliding_window: 32,
    max_position_embeddings: 128,
    torch_dtype: "bfloat16",
  },
];

const config: FuzzTarget = {
  name: "llm-config",
  makeSeeds: async () => {
    const generation = {
      do_sample: true,
      temperature: 0.7,
      top_k: 40,
      top_p: 0.9,
      repetition_penalty: 1.1,
      eos_token_id: [1, 2],
      max_length: 100,
    };
    return CONFIGS.map(
      (model) =>
        new Map([
          ["config.json", json(model)],
          ["generation_config.json", json(generation)],
        ]),
    );
  },
  words: ['"linear"', '"yarn"', '"dynamic"', '"silu"', '"relu"', "null", '"auto"'],
  async read(folder) {
    const read = async (name: string): Promise<string> => readFile(join(folder, name), "utf8");
    decoderOf(readConfig(await read("config.json"), folder, []));
    readGenerationConfig(await read("generation_config.json"), folder, []);
  },
};

/** Opens a model, reads its weights and cuts a text into tokens. */
async function readModel(path: string): Promise<void> {
  const { files, tokenizer: made } = await openModel(path);
  try {
    for (const name of decoderOf(files.config).tensors.keys()) await files.read(name);
    made.decode(made.encode(TEXT));
  } finally {
    await files.close();
  }
}

const folder: FuzzTarget = {
  name: "llm-folder",
  async makeSeeds(scratch) {
    await writeWordModel(scratch);
    return [await filesBelow(scratch)];
  },
  words: ["model.", "lm_head.weight", '"F16"', '"I64"', "model.safetensors.index.json"],
  read: readModel,
};

const llama2c: FuzzTarget = {
  name: "llama2c",
  async makeSeeds(scratch) {
    await writeTinyLlama2c(scratch);
    return [await filesBelow(scratch)];
  },
  words: ["ak42", "\x01\0\0\0", "\xff\xff\xff\x7f"],
  read: (path) => readModel(join(path, "tiny.bin")),
};

const recipe: FuzzTarget = {
  name: "recipe",
  async makeSeeds() {
    const shipped = ["recall-rotary", "shakespeare"];
    const read = (name: string) => readFile(new URL(`../../../recipes/${name}.json`, import.meta.url));
    return singleFiles("recipe.json", await Promise.all(shipped.map(read)));
  },
  words: ["null", '"kind":"text"', '"stages":[]'],
  async read(path) {
    await readRecipe(join(path, "recipe.json"));
  },
};

/** Readers of language models. */
export const llmTargets: readonly FuzzTarget[] = [safetensors, tokenizer, config, folder, llama2c, recipe];
