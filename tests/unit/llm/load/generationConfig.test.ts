import { describe, expect, test } from "vitest";
import type { NoticeEvent } from "../../../../src/run/events.ts";
import { readGenerationConfig } from "../../../../src/llm/load/generationConfig.ts";

function read(json: unknown) {
  const notices: NoticeEvent[] = [];
  const generation = readGenerationConfig(JSON.stringify(json), "generation_config.json", notices);
  return { ...generation, notices: notices.map(({ message }) => message) };
}

describe("generation_config.json", () => {
  test("gives the values of how tokens are drawn, and transformers' own for those it leaves out", () => {
    const json = {
      do_sample: true,
      temperature: 0.6,
      top_p: 0.9,
      repetition_penalty: 1.1,
      eos_token_id: [5, 6],
    };
    expect(read(json)).toEqual({
      isSampled: true,
      sampling: { temperature: 0.6, topK: 50, topP: 0.9, repetitionPenalty: 1.1 },
      maxNewTokens: null,
      maxLength: null,
      eosTokenIds: [5, 6],
      notices: [],
    });
    expect(read({ do_sample: true }).sampling).toEqual({ temperature: 1, topK: 50 });
    expect(read({ do_sample: true, top_k: 0 }).sampling).toEqual({ temperature: 1, topK: 0 });
  });

  test("without do_sample draws nothing, whatever else it says", () => {
    const { isSampled, sampling } = read({ temperature: 0.6, top_p: 0.9, min_p: null });
    expect(isSampled).toBe(false);
    expect(sampling).toEqual({ temperature: 0.6, topP: 0.9 });
  });

  test("bounds the new tokens", () => {
    expect(read({ max_new_tokens: 7, max_length: 99 })).toMatchObject({ maxNewTokens: 7, maxLength: 99 });
  });

  test("is told of what it asks for in vain, and of keys that are not known, in a line each", () => {
    const inVain = { no_repeat_ngram_size: 3, num_beams: 4, suppress_tokens: [1], guidance_scale: 1.5 };
    const nothing = {
      bad_words_ids: null,
      num_return_sequences: 1,
      min_length: 0,
      forced_eos_token_id: null,
    };
    const passed = { bos_token_id: 1, pad_token_id: 0, transformers_version: "4", use_cache: true };
    expect(read({ ...inVain, ...nothing, ...passed, chat_format: "x" }).notices).toEqual([
      "generation_config.json asks for what is not done here: no_repeat_ngram_size 3, num_beams 4, suppress_tokens [1], guidance_scale 1.5",
      "generation_config.json has keys that are not known here and that are left out: chat_format",
    ]);
  });

  // transformers applies the first two to the prompt of a decoder; the third is another way of decoding.
  test.each([
    ["encoder_repetition_penalty", 1.5, 1],
    ["encoder_no_repeat_ngram_size", 3, 0],
    ["dola_layers", "high", null],
  ])("names %s, which would change the text", (key, value, nothing) => {
    const [notice] = read({ [key]: value }).notices;
    expect(notice).toContain(`not done here: ${key} ${JSON.stringify(value)}`);
    expect(read({ [key]: nothing }).notices).toEqual([]);
  });

  test.each([
    { temperature: -1 },
    { temperature: "hot" },
    { top_k: 1.5 },
    { top_k: -1 },
    { top_p: 2 },
    { repetition_penalty: 0 },
    { max_new_tokens: 0 },
    { eos_token_id: "end" },
    { do_sample: "yes" },
  ])("with %j is refused by the key", (json) => {
    const [key] = Object.keys(json);
    expect(() => read(json)).toThrow(
      expect.objectContaining({
        code: "LLM_MODEL_DAMAGED",
        message: expect.stringContaining(key!) as unknown,
      }),
    );
  });

  test.each([[], null, 3, "x"])("that is %j is refused", (json) => {
    expect(() => read(json)).toThrow(expect.objectContaining({ code: "LLM_MODEL_DAMAGED" }));
  });
});
