/**
 * @file `pareto/llm`: texts under a cache policy of one's own, a further turn, and a batch with beams.
 * Run: `npx node examples/library/llm.ts MODEL`.
 */
import { endOf, type HeadView, type KvPolicy, LlmEngine, openModel, runBatch } from "../../src/llm/index.ts";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: llm.ts MODEL");
const { files, tokenizer } = await openModel(path);
const engine = await LlmEngine.open(files, { device: "cpu", maxSequences: 4 });
await files.close();

// A policy that ranks tokens by the attention that each query paid them on average, so that late ones have a chance.
const average = ({ scores, positions, tokensSeen }: HeadView, slot: number) =>
  scores[slot]! / (tokensSeen - positions[slot]!);
const ranked = (head: HeadView) =>
  Array.from({ length: head.length }, (_, slot) => slot).sort((a, b) => average(head, b) - average(head, a));
const own: KvPolicy = {
  name: "average-attention",
  scoring: {
    from: "attention",
    rows: "accumulate",
    temperature: () => 1,
    noise: "none",
    noiseReuse: "fresh",
    groupReduce: "mean",
    heads: "each",
  },
  positions: "original",
  scope: "layer",
  evictEvery: 1,
  budget: (promptTokens) => Math.ceil(promptTokens / 2),
  keep: (head) =>
    ranked(head)
      .slice(0, head.budget)
      .sort((a, b) => head.positions[a]! - head.positions[b]!),
  evict: (head) => ranked(head).at(-1)!,
};

// A text, and more of it after a turn.
const start = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
let evictions = 0;
const conversation = engine.converse({
  kv: () => own,
  maxNewTokens: 40,
  onDecision: ({ chose }) => void ("evict" in chose && evictions++),
});
for (const turn of [start, " But then her friend Tom said"]) {
  const prompt = tokenizer.encode(turn);
  // Text that goes on does not begin with the token that begins a text.
  const events = conversation.generate({
    prompt: turn === start ? prompt : prompt.slice(1),
    maxNewTokens: 20,
  });
  const { tokens, memory } = await endOf(events);
  console.log(`${turn} […] ${tokenizer.decode(tokens)}`);
  const { tokensSeen, evictedTokens, kvBytes, fullKvBytes } = memory!;
  console.log(`${tokensSeen} tokens seen, ${evictedTokens} evicted, ${evictions} times in decode`);
  console.log(`${kvBytes} bytes of keys and values, with every token kept ${fullKvBytes}`);
}
conversation.end();

// A token as soon as it is chosen.
const request = { prompt: tokenizer.encode("Lily saw"), maxNewTokens: 8, kv: "keyformer:budget=60%" };
for await (const event of engine.generate(request))
  if (event.event === "token") console.log(`${event.index}: ${tokenizer.decode([event.token])}`);

// Many requests over four sequences: one that beams search for, others drawn. Each comes when it is over.
const requests = ["Tom had a red ball.", "The dog ran", "One day, a cat and a bird met."].map((text, i) => ({
  prompt: tokenizer.encode(text),
  maxNewTokens: 24,
  kv: "keyformer:budget=60%",
  noise: { seed: 1 },
  ...(i === 0 ? { beams: 2 } : { sampling: { temperature: 0.8, seed: 1 } }),
}));
for await (const { index, tokens, memory } of runBatch(engine, requests))
  console.log(`${index}: ${tokenizer.decode(tokens)} (${memory.kvBytes} of ${memory.fullKvBytes} bytes)`);
await engine.dispose();
