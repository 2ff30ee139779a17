/**
 * @file `pareto/llm`: continues a text with a bounded cache of keys and values.
 * Run: `npx node examples/library/generate.ts`.
 */
import { fileURLToPath } from "node:url";
import { LlmEngine, endOf, openModel } from "../../src/llm/index.ts";

const folder = fileURLToPath(new URL("../../models/shakespeare", import.meta.url));
const { files, tokenizer } = await openModel(folder);
const engine = await LlmEngine.open(files, { device: "cpu" });
const prompt = tokenizer.encode("JULIET:\nO Romeo, Romeo! wherefore art thou Romeo?\n");
const request = { prompt, maxNewTokens: 40, kv: "keyformer:budget=50%" };
const { tokens, memory } = await endOf(engine.generate(request));
console.log(tokenizer.decode(tokens));
console.log(
  `${memory!.evictedTokens} entries evicted, ${memory!.kvBytes} bytes kept of ${memory!.fullKvBytes}`,
);
await engine.dispose();
