/** @file What evicting cached tokens costs a language model in quality. See `llmQuality/measureQuality.ts`. */
import { dirname, join } from "node:path";
import type { LlmDtype } from "../src/llm/runner/dtype.ts";
import type { BenchArea, BenchContext } from "./harness/area.ts";
import { describeGpu } from "./harness/gpu.ts";
import type { BenchRow } from "./harness/rows.ts";
import { measureQuality, QUALITY_GROUPS, type QualityOptions } from "./llmQuality/measureQuality.ts";
import type { QualityResult } from "./llmQuality/qualityFile.ts";
import { qualityTables } from "./llmQuality/qualityTables.ts";

/** Digits that figures keep in the file. */
const DIGITS = 6;

function optionsOf({ only, small, threads, values, log }: BenchContext): QualityOptions {
  const text = (name: string) => (values[name] as string | undefined) ?? null;
  const number = (name: string, other: number) => Number(values[name] ?? other);
  const device = values["device"] === "cuda" ? "cuda" : "cpu";
  return {
    models: text("models") ?? join(dirname(import.meta.dirname), "models"),
    text: text("text"),
    stories: text("stories"),
    device,
    dtype: text("dtype") as LlmDtype | null,
    threads,
    sequences: number("sequences", device === "cuda" ? 64 : 8),
    only,
    minutes: number("minutes", 2.5),
    items: number("items", small ? 8 : 512),
    seeds: number("seeds", small ? 2 : 3),
    tokens: number("tokens", small ? 192 : 1024),
    small,
    log,
  };
}

/** A row for each curve: Keyformer at half the prompt, or the budget next to it, beside the full cache. */
function curveRow({ model, task, protocol, tokens, items, seconds, arms }: QualityResult): BenchRow {
  const [full, ...others] = arms;
  const own = others
    .filter(({ policy }) => policy === "keyformer")
    .sort((a, b) => Math.abs(a.budget! - 0.5) - Math.abs(b.budget! - 0.5))[0]!;
  const shown = (mean: number) =>
    task === "text" ? `${mean.toFixed(3)} nats a token` : `${(100 * mean).toFixed(1)} % right`;
  return {
    case: `${model} ${task} ${protocol ?? ""}`.trim(),
    size: `${items} texts of ${tokens} tokens, Keyformer at ${Math.round(100 * own.budget!)} %`,
    milliseconds: 1000 * seconds,
    figure: shown(own.mean),
    limit: `${shown(full!.mean)}, full cache`,
    ratio: own.mean / full!.mean,
    target: "",
    met: null,
  };
}

export default {
  about: "Quality of language models by cache policy and budget: tasks, likelihoods, ablations.",
  cost: "2.5 minutes unless `--minutes` says otherwise.",
  groups: QUALITY_GROUPS,
  options: {
    models: {
      type: "string",
      meaning: "folder of the models; those missing are left out. Defaults to models",
    },
    text: { type: "string", meaning: "the text that shakespeare was trained on; without it no likelihoods" },
    stories: { type: "string", meaning: "stories260K.bin of llama2.c; without it no stories" },
    device: { type: "string", meaning: "cpu or cuda. Defaults to cpu" },
    dtype: { type: "string", meaning: "dtype of the weights. Defaults to the device's" },
    "max-seqs": { type: "string", meaning: "texts at a time. Defaults to 8 on the CPU, 64 on a GPU" },
    minutes: { type: "string", meaning: "time that all measurements share. Defaults to 2.5" },
    items: { type: "string", meaning: "texts of a measurement at most. Defaults to 512" },
    seeds: { type: "string", meaning: "seeds of policies that draw noise. Defaults to 3" },
    tokens: { type: "string", meaning: "tokens of a text. Defaults to 1024" },
  },
  async run(context) {
    const options = optionsOf(context);
    const figures = await measureQuality(options);
    const rounded = JSON.parse(
      JSON.stringify(figures, (_, value: unknown) =>
        typeof value === "number" ? Number(value.toPrecision(DIGITS)) : value,
      ),
    ) as typeof figures;
    const { device } = options;
    return {
      rows: rounded.curves.map(curveRow),
      results: [],
      tables: qualityTables(rounded),
      fields: {
        bench: "llm-quality",
        gpu: device === "cuda" ? await describeGpu() : null,
        device,
        dtype: options.dtype ?? (device === "cuda" ? "bf16" : "f32"),
        ...rounded,
      },
    };
  },
} satisfies BenchArea;
