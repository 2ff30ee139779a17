/** @file Measures what cache policies cost on a text: `node evalLlm.ts MODEL TEXTFILE`. */
import { readFile } from "node:fs/promises";
import {
  estimate,
  evaluate,
  fullVariant,
  keyformer,
  LlmEngine,
  openModel,
  textItems,
  variantsOf,
} from "../../src/llm/index.ts";

const [path, textFile] = process.argv.slice(2);
if (path === undefined || textFile === undefined) throw new Error("usage: evalLlm.ts MODEL TEXTFILE");
const { files, tokenizer } = await openModel(path);

// A way of caching is a policy for texts of so many decoded tokens, under a name.
const half = (horizon: number) => keyformer({ budget: { share: 0.5 }, horizon, noise: "none" });
const variants = [
  fullVariant,
  ...variantsOf(["window", "keyformer"], [0.5]),
  { policy: "no noise", budget: 0.5, make: half },
];

const sizes = { contextTokens: 128, newTokens: 64, dtype: "f32" } as const;
const { kvBytesPerToken, policy } = estimate(files.config, { ...sizes, policies: () => half(64) });
console.log(`${kvBytesPerToken} bytes of keys and values a token, ${policy.kvBytes} with half of a prompt`);

const pieces = textItems(
  tokenizer.encode(await readFile(textFile, "utf8")),
  { promptTokens: sizes.contextTokens, scoredTokens: sizes.newTokens },
  4,
);
const engine = await LlmEngine.open(files, { device: "cpu", maxSequences: pieces.length });
await files.close();
const found = await evaluate(engine, {
  measure: "likelihoods",
  item: (index) => pieces[index]!,
  items: pieces.length,
  variants,
  seeds: 2,
});
await engine.dispose();
for (const { policy, mean, difference } of found.variants) {
  const { mean: more, low, high } = difference;
  console.log(
    `${policy}: ${mean.toFixed(3)} nats a token, ${more.toFixed(3)} more than the full cache (95 %: ${low.toFixed(3)} to ${high.toFixed(3)})`,
  );
}
