/** @file `config.json` as it is found: keys left out, switches, and what is refused by name. */
import { describe, expect, test } from "vitest";
import type { NoticeEvent } from "../../../../src/run/events.ts";
import { readConfig } from "../../../../src/llm/load/readConfig.ts";

const llama = {
  model_type: "llama",
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  vocab_size: 64,
};
const gpt2 = { model_type: "gpt2", n_embd: 32, n_layer: 2, n_head: 4, vocab_size: 64 };
const mpt = { model_type: "mpt", d_model: 32, n_heads: 4, n_layers: 2, vocab_size: 64 };

const read = (json: object) => readConfig(JSON.stringify(json), "config.json");
const refusal = (code: string, message: string): unknown =>
  expect.objectContaining({ code, message: expect.stringContaining(message) as unknown });

describe("config.json", () => {
  test("may begin with a byte order mark", () => {
    expect(readConfig(`\uFEFF${JSON.stringify(llama)}`, "config.json").layers).toBe(4);
  });

  test.each([
    ["mistral without one", { model_type: "mistral" }, 4096],
    ["mistral with null", { model_type: "mistral", sliding_window: null }, null],
    ["mistral with a number", { model_type: "mistral", sliding_window: 16 }, 16],
    ["llama, which ignores it", { sliding_window: 16 }, null],
    ["qwen2 switched off", { model_type: "qwen2", use_sliding_window: false, sliding_window: 16 }, null],
    [
      "qwen2 whose windows begin behind the last layer",
      { model_type: "qwen2", use_sliding_window: true, sliding_window: 16, max_window_layers: 28 },
      null,
    ],
    [
      "qwen3 with windows from the first layer",
      { model_type: "qwen3", use_sliding_window: true, sliding_window: 16, max_window_layers: 0 },
      16,
    ],
    [
      "qwen2 that names its layers",
      {
        model_type: "qwen2",
        use_sliding_window: true,
        sliding_window: 8,
        layer_types: Array(4).fill("sliding_attention"),
      },
      8,
    ],
  ])("gives the sliding window of %s", (_, change, window) => {
    const { slidingWindow } = read({ ...llama, ...change });
    expect([0, 1, 2, 3].map(slidingWindow)).toEqual(Array(4).fill(window));
  });

  test.each([
    [
      "qwen2 whose first layers have none",
      { model_type: "qwen2", use_sliding_window: true, sliding_window: 16, max_window_layers: 1 },
      [null, 16, 16, 16],
    ],
    [
      "qwen3 that names its layers",
      {
        model_type: "qwen3",
        use_sliding_window: true,
        sliding_window: 8,
        layer_types: ["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
      },
      [8, null, 8, null],
    ],
    [
      "mistral that names its layers, which the auto classes take for a Ministral",
      {
        model_type: "mistral",
        sliding_window: 8,
        layer_types: ["full_attention", "full_attention", "full_attention", "sliding_attention"],
      },
      [null, null, null, 8],
    ],
  ])("gives the windows of %s", (_, change, windows) => {
    const { slidingWindow } = read({ ...llama, ...change });
    expect([0, 1, 2, 3].map(slidingWindow)).toEqual(windows);
  });

  test.each([
    ["llama", { kvHeads: 4, headDim: 8, maxPositions: 2048, eosTokenIds: [2] }],
    ["mistral", { kvHeads: 8, headDim: 2, maxPositions: 131_072, eosTokenIds: [2] }],
    ["qwen2", { kvHeads: 32, headDim: 2, maxPositions: 32_768, eosTokenIds: [] }],
    ["qwen3", { kvHeads: 32, headDim: 128, maxPositions: 32_768, eosTokenIds: [] }],
  ])("of a %s takes what transformers takes for keys that are left out", (type, wanted) => {
    const { heads } = { heads: Math.max(4, wanted.kvHeads) };
    const config = read({ ...llama, hidden_size: 64, num_attention_heads: heads, model_type: type });
    expect(config).toMatchObject({ ...wanted, headDim: wanted.headDim === 128 ? 128 : 64 / heads });
  });

  test.each([
    ["relu", "relu"],
    ["silu", "silu"],
    ["swish", "silu"],
    ["gelu", "gelu"],
    ["gelu_python", "gelu"],
    ["gelu_new", "geluTanh"],
    ["gelu_fast", "geluTanh"],
    ["gelu_pytorch_tanh", "geluTanh"],
    ["quick_gelu", "quickGelu"],
  ])("of a GPT-2 may have the activation %s", (activation_function, activation) => {
    expect(read({ ...gpt2, activation_function })).toMatchObject({ activation });
  });

  test("has keys that change nothing; of those that are not known there is one notice", () => {
    const notices: NoticeEvent[] = [];
    const passed = { architectures: ["LlamaForCausalLM"], torch_dtype: "float16", attention_dropout: 0.1 };
    const neutral = { num_local_experts: 0, attn_logit_softcapping: null, partial_rotary_factor: 1 };
    readConfig(JSON.stringify({ ...llama, ...passed, ...neutral }), "config.json", notices);
    expect(notices).toEqual([]);
    readConfig(JSON.stringify({ ...llama, frob: 1, knob: true }), "config.json", notices);
    expect(notices.map(({ message }) => message)).toEqual([expect.stringContaining("frob, knob")]);
  });

  test.each<[string, object, unknown]>([
    ["num_local_experts", llama, 8],
    ["num_experts", llama, 64],
    ["final_logit_softcapping", llama, 30],
    ["attn_logit_softcapping", llama, 50],
    ["attention_multiplier", llama, 0.5],
    ["embedding_multiplier", llama, 12],
    ["residual_multiplier", llama, 0.22],
    ["logits_scaling", llama, 8],
    ["query_pre_attn_scalar", llama, 256],
    ["attention_chunk_size", llama, 8192],
    ["no_rope_layers", llama, [1, 0]],
    ["use_qk_norm", llama, true],
    ["partial_rotary_factor", llama, 0.5],
    ["parallel_attn", llama, true],
    ["quantization", llama, { bits: 4, group_size: 64 }],
    ["kv_lora_rank", llama, 512],
    ["add_cross_attention", gpt2, true],
    ["is_encoder_decoder", gpt2, true],
    ["kv_n_heads", { ...mpt, attn_config: { kv_n_heads: 2 } }, undefined],
    ["rope", { ...mpt, attn_config: { rope: true } }, undefined],
  ])("with %s, which changes the output, is refused by name", (key, config, value) => {
    expect(() => read(value === undefined ? config : { ...config, [key]: value })).toThrow(
      refusal("LLM_UNSUPPORTED", `${key} is not supported`),
    );
  });

  test.each([
    ["mrope_section", { rope_type: "default", mrope_section: [16, 24, 24] }],
    ["alpha", { type: "dynamic", factor: 2, alpha: 1000 }],
    ["full_attention", { full_attention: { rope_type: "default" } }],
  ])("with %s in its rotation is refused by name", (key, rope_scaling) => {
    expect(() => read({ ...llama, rope_scaling })).toThrow(refusal("LLM_UNSUPPORTED", key));
  });

  test.each<[string, object]>([
    ["hidden_size", { hidden_size: 1e9 }],
    ["hidden_size", { hidden_size: -8 }],
    ["hidden_size", { hidden_size: 32.5 }],
    ["hidden_size", { hidden_size: "32" }],
    ["hidden_size", { hidden_size: null }],
    ["num_hidden_layers", { num_hidden_layers: 1e6 }],
    ["num_attention_heads", { num_attention_heads: 2 ** 24 }],
    ["vocab_size", { vocab_size: 1e12 }],
    ["rms_norm_eps", { rms_norm_eps: -1 }],
    ["heads need a whole, even number", { num_attention_heads: 5 }],
    ["query heads must divide", { num_key_value_heads: 3 }],
    ["layer_types must name 4 layers", { model_type: "mistral", layer_types: ["full_attention"] }],
  ])("with a wrong %s is refused: %j", (message, change) => {
    expect(() => read({ ...llama, ...change })).toThrow(refusal("LLM_MODEL_DAMAGED", message));
  });

  test("with a key that stands twice is refused", () => {
    const text = JSON.stringify(llama).replace("{", '{"vocab_size": 64, ');
    expect(() => readConfig(text, "config.json")).toThrow(refusal("LLM_MODEL_DAMAGED", "vocab_size"));
  });

  test.each(["[]", "null", "7", '"llama"', "{", "\u0000", ""])("that is %j is refused", (text) => {
    expect(() => readConfig(text, "config.json")).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^LLM_/) as unknown }),
    );
  });

  test("may have null for what it leaves open", () => {
    const open = {
      num_key_value_heads: null,
      head_dim: null,
      rope_theta: null,
      rope_scaling: null,
      rope_parameters: { rope_type: "linear", factor: 2, rope_theta: null, low_freq_factor: null },
      eos_token_id: null,
    };
    const config = read({ ...llama, ...open });
    expect(config).toMatchObject({ kvHeads: 4, headDim: 8, eosTokenIds: [] });
    expect(config.rotary).toMatchObject({ theta: 10_000, scaling: { kind: "linear", factor: 2 } });
  });

  test("of an MPT has ALiBi up to 8 where it does not say", () => {
    const expected = [0.25, 0.0625, 0.015625, 0.00390625];
    for (const part of [{}, { attn_config: null }, { attn_config: {} }])
      expect(read({ ...mpt, ...part }).alibiSlopes).toEqual(expected);
    expect(() => read({ ...mpt, attn_config: { alibi: false } })).toThrow(
      refusal("LLM_UNSUPPORTED", "without ALiBi"),
    );
  });

  test.each([
    [
      "a rotation of a part of each head",
      { rope_parameters: { rope_type: "default", partial_rotary_factor: 0.5 } },
      "LLM_UNSUPPORTED",
      "got 0.5",
    ],
    ["quantised weights", { quantization_config: { quant_method: "gptq" } }, "LLM_UNSUPPORTED", "gptq"],
    ["a prototype's name as its type", { model_type: "constructor" }, "LLM_UNSUPPORTED", "constructor"],
    ["layers without end", { num_hidden_layers: 1e9 }, "LLM_MODEL_DAMAGED", "num_hidden_layers"],
    [
      "factors of another number of pairs",
      { rope_scaling: { type: "longrope", short_factor: [1], long_factor: [1, 1, 1, 1] } },
      "LLM_MODEL_DAMAGED",
      "got 1",
    ],
  ])("with %s is refused", (_, change, code, message) => {
    expect(() => read({ ...llama, ...change })).toThrow(refusal(code, message));
  });
});
