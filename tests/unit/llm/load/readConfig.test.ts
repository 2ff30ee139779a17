/** @file `config.json` as it is found: keys left out, switches, and what is refused by name. */
import { describe, expect, test } from "vitest";
import { readConfig } from "../../../../src/llm/load/readConfig.ts";

const llama = {
  model_type: "llama",
  hidden_size: 32,
  intermediate_size: 48,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  vocab_size: 64,
};
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
    expect(read({ ...llama, ...change }).slidingWindow).toBe(window);
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
      "a window in some layers",
      { model_type: "qwen2", use_sliding_window: true, sliding_window: 16, max_window_layers: 1 },
      "LLM_UNSUPPORTED",
      "3 of 4",
    ],
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
