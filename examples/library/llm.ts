/**
 * @file `pareto/llm`: texts under a cache policy of one's own, a further turn, and a batch with beams.
 * Run: `npx node examples/library/llm.ts MODEL`.
 */
import {
  generateTokens,
  type HeadView,
  keyformer,
  type KvPolicy,
  openModel,
  openRunner,
  runBatch,
  Sampler,
} from "../../src/llm/index.ts";

const [path] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: llm.ts MODEL");
const { files, tokenizer } = await openModel(path);
const runner = await openRunner(files, { device: "cpu", maxSequences: 4 });
await files.close();
const { eosTokenIds } = files.config;

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

// A text, and more of it after a turn. The last token chosen has not been read: the turn begins with it.
const start = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park.";
let evictions = 0;
runner.begin(0, {
  policies: () => own,
  maxNewTokens: 40,
  onDecision: ({ kind }) => void (kind === "evict" && evictions++),
});
let unread: number[] = [];
for (const turn of [start, " But then her friend Tom said"]) {
  const prompt = [
    ...unread,
    ...(unread.length > 0 ? tokenizer.encode(turn).slice(1) : tokenizer.encode(turn)),
  ];
  const tokens: number[] = [];
  for await (const token of generateTokens(runner, prompt, new Sampler(), { maxNewTokens: 20, eosTokenIds }))
    tokens.push(token);
  unread = tokens.slice(-1);
  console.log(`${turn} […] ${tokenizer.decode(tokens)}`);
}
const { tokensSeen, evictedTokens, kvBytes, fullKvBytes } = runner.memory(0);
console.log(`${tokensSeen} tokens seen, ${evictedTokens} evicted, ${evictions} times in decode`);
console.log(`${kvBytes} bytes of keys and values, with every token kept ${fullKvBytes}`);
runner.release(0);

// Many texts over four sequences: one that beams search for, others drawn. Each comes when it is over.
const policies = () => keyformer({ budget: { share: 0.6 }, horizon: 24 });
const requests = ["Tom had a red ball.", "The dog ran", "One day, a cat and a bird met."].map((text, i) => ({
  prompt: tokenizer.encode(text),
  text: { policies, maxNewTokens: 24, seed: 1 },
  eosTokenIds: eosTokenIds,
  ...(i === 0 ? { beams: 2 } : { sampler: { temperature: 0.8, seed: 1 } }),
}));
for await (const { index, tokens, memory } of runBatch(runner, requests))
  console.log(`${index}: ${tokenizer.decode(tokens)} (${memory.kvBytes} of ${memory.fullKvBytes} bytes)`);
await runner.dispose();
