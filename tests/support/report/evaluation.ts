/** @file An evaluation of a language model as its run's folder would hold it. */
import type { EvaluationPoint, EvaluationResult } from "../../../src/llm/eval/evaluationResult.ts";
import type { RunFiles } from "../../../src/run/readRun.ts";

/** Two policies at three budgets. @param text stands for the names that come from a user */
export function sampleEvaluation(text = "model", changes: Partial<EvaluationResult> = {}): RunFiles {
  const point = (policy: string, budget: number | null, mean: number): EvaluationPoint => ({
    policy,
    budget,
    mean,
    low: mean - 0.05,
    high: mean + 0.04,
    tokens: mean,
    difference: { mean: mean - 0.97, low: mean - 1, high: mean - 0.9 },
    seeds: 1,
    byDepth: [0.25, null, 1],
    kvBytes: 4096,
  });
  const result: EvaluationResult = {
    run: "runs/eval",
    model: text,
    task: "recall, in-prompt",
    measure: "accuracy",
    tokens: 1024,
    decoded: 2,
    items: 100,
    full: point("full", null, 0.97),
    points: ["h2o", "window"].flatMap((policy, i) =>
      [0.1, 0.5, 0.9].map((budget) => point(policy, budget, budget * (0.9 - 0.3 * i))),
    ),
    values: [],
    ...changes,
  };
  return {
    path: "runs/eval",
    record: {
      format: "pareto-run",
      version: 1,
      command: "llm evaluate",
      config: { task: text, kv: "h2o,window" },
      seed: 1,
      fingerprint: null,
      pareto: "0.1.0",
      node: "v26.9.0",
      packages: {},
      machine: { cpu: "a CPU", cores: 2, memoryBytes: 2 ** 34, platform: "linux", arch: "x64" },
      startedAt: "2026-01-01T00:00:00.000Z",
      endedAt: "2026-01-01T00:01:00.000Z",
      seconds: 60,
      status: "done",
    },
    events: [
      { event: "notice", level: "warning", code: "LLM_EVAL", message: text },
      { event: "span", span: "prepare", start: 0, end: 3 },
      { event: "span", span: "evaluate", start: 3, end: 60 },
    ],
    decisions: [],
    result: JSON.parse(JSON.stringify(result)) as RunFiles["result"],
  };
}
