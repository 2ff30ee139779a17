/** @file `tokenizer.json` of the words of the synthetic tasks: a word between spaces is a token. */
import { WORDS } from "./words.ts";

/** The JSON, as Hugging Face's `tokenizers` has it. */
export function wordTokenizer(): object {
  const special = WORDS.slice(0, 2);
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: "WhitespaceSplit" },
    post_processor: null,
    // Words are joined by spaces; there are no word pieces to be joined.
    decoder: null,
    model: {
      // Without pieces that go on within a word only whole words are found; not every library knows "WordLevel".
      type: "WordPiece",
      unk_token: special[1],
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    },
  };
}
