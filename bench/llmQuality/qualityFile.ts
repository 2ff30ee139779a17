/** @file What `bench/llmQuality.bench.ts` writes, as the results page reads it. */
import type { Interval } from "../../src/llm/eval/bootstrap.ts";
import type { VariantResult } from "../../src/llm/eval/evaluate.ts";
import type { Gpu } from "../harness/gpu.ts";
import type { BenchMachine } from "../harness/machine.ts";

/** One way of caching, without the values of single texts. */
export interface QualityPoint extends Omit<VariantResult, "values"> {
  /** Of an ablation: from Keyformer as the paper has it, at the same budget, text by text. */
  fromDefault?: Interval;
}

/** One exam of one model. */
export interface QualityResult {
  /** The folder's name. */
  model: string;
  task: string;
  /** When a task's question comes; null for text. */
  protocol: string | null;
  /** Of a whole text. */
  tokens: number;
  items: number;
  seconds: number;
  /** The full cache first. */
  arms: QualityPoint[];
}

/** What a policy writes when it goes on a story, against what the full cache writes. */
export interface StoryResult {
  policy: string;
  seed: number;
  /** The first of the tokens that differs, from 1; null when none does. */
  firstDifference: number | null;
  /** −ln p a token of the full cache's own text. */
  negativeLogLikelihood: number;
  /** Share of the runs of four tokens that stood in the text before. */
  repetition: number;
}

/** The file. */
export interface QualityFile {
  bench: "llm-quality";
  machine: BenchMachine;
  gpu: Gpu | null;
  device: string;
  dtype: string;
  command: string;
  /** Every exam of every model by policy and budget. */
  curves: QualityResult[];
  /** Keyformer with one option changed at a time; `policy` says which. */
  ablations: QualityResult[];
  stories: { promptTokens: number; newTokens: number; budget: number; results: StoryResult[] } | null;
}
