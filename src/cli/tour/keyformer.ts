/** @file The tour's stop at Keyformer: recall of a language model that comes with Pareto, with half of its KV cache. */
import { z } from "zod";
import { formatBytes, formatShare } from "../../base/format.ts";
import type { StopResult, TourContext, TourStop } from "./tourStop.ts";

const TEXTS = 60;
const TOKENS = 512;
const BUDGET = 0.5;

const point = z.object({
  policy: z.string(),
  budget: z.number().nullable(),
  mean: z.number(),
  kvBytes: z.number(),
});
const evaluated = z.object({ full: point, points: z.array(point) });

async function run({ path, run }: TourContext): Promise<StopResult> {
  const texts = ["--context", String(TOKENS), "--items", String(TEXTS)];
  const caches = ["--kv", "keyformer,window", "--budgets", "10,25,50", "--seeds", "1"];
  const { full, points } = evaluated.parse(
    await run("llm", "evaluate", ...texts, ...caches, "--out", path("keyformer")),
  );
  const at = (policy: string) => points.find((each) => each.policy === policy && each.budget === BUDGET)!;
  const [keyformer, window] = [at("keyformer"), at("window")];
  const curve = (policy: string, color: string) => ({
    name: policy,
    color,
    mark: "dots" as const,
    points: points
      .filter((each) => each.policy === policy)
      .map(({ budget, mean }) => ({ x: budget!, y: mean })),
  });
  return {
    against: `a full cache, on ${TEXTS} recall questions in texts of ${TOKENS} tokens`,
    quality: {
      what: "right answers",
      before: formatShare(full.mean),
      after: formatShare(keyformer.mean),
    },
    cost: {
      what: "bytes of keys and values a text",
      before: formatBytes(full.kvBytes),
      after: formatBytes(keyformer.kvBytes),
    },
    sentence: `Kept half of the prompt's tokens, those with the highest scores; a window of the newest half answers ${formatShare(window.mean)} right.`,
    figure: {
      id: "keyformer",
      title: "Right answers, by share of the prompt that stays in the cache",
      alt: "Keyformer stays near the full cache where a window falls",
      chart: {
        kind: "lines",
        x: { label: "Tokens kept", format: (share) => formatShare(share, 0) },
        y: { label: "Right answers", domain: [0, 1], format: (share) => formatShare(share, 0) },
        series: [curve("keyformer", "series-0"), curve("window", "series-1")],
        rules: [{ axis: "y", at: full.mean, label: "full cache" }],
      },
    },
    links: ["keyformer/report.html"],
  };
}

/** The stop. */
export const keyformer: TourStop = {
  name: "keyformer",
  system: "Keyformer",
  topic: "key tokens in the cache of a language model",
  run,
};
