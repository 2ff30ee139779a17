/** @file The report of quality by budget as data, and the warnings of an evaluation. */
import { describe, expect, it } from "vitest";
import {
  evaluationResult,
  evaluationWarnings,
  type EvaluationSubject,
} from "../../../../src/llm/eval/evaluationResult.ts";
import { evaluationReport } from "../../../../src/llm/eval/report.ts";
import type { Table } from "../../../../src/report/page.ts";
import { sampleEvaluation } from "../../../support/report/evaluation.ts";

/** Tables of the sections, by title. */
function tablesOf(title: string, ...sample: Parameters<typeof sampleEvaluation>): Table[] {
  const { sections } = evaluationReport(sampleEvaluation(...sample));
  const blocks = sections.find((section) => section.title === title)!.blocks;
  return blocks.flatMap((block) => (block.kind === "table" ? [block.table] : []));
}

describe("the report of quality by budget", () => {
  it("has a table by budget, one with intervals, and one by depth where texts have depths", () => {
    const [byBudget, exact] = tablesOf("Figures");
    expect(byBudget!.head).toEqual(["right answers, %", "10 %", "50 %", "90 %"]);
    expect(byBudget!.rows[0]).toEqual([{ text: "h2o", swatch: "series-0" }, "9.0", "45.0", "81.0"]);
    expect(exact!.rows[1]!.slice(0, 3)).toEqual([
      "h2o, 50 %",
      "45.0 (40.0 to 49.0)",
      "-52.0 (-55.0 to -45.0)",
    ]);
    const [depths] = tablesOf("By where the evidence lies in the prompt");
    expect(depths!.rows[0]).toEqual(["full", "25.0", "–", "100.0"]);
  });

  it("gives likelihoods in nats, and no depths where there are none", () => {
    const { full } = sampleEvaluation().result as unknown as { full: object };
    const changes = { measure: "nll", full: { ...full, byDepth: [] } } as never;
    expect(tablesOf("Figures", "model", changes)[0]!.rows[0]!.slice(1, 3)).toEqual(["0.090", "0.450"]);
    expect(tablesOf("By where the evidence lies in the prompt", "model", changes)).toEqual([]);
  });

  it("is made of a run that has not ended", () => {
    const page = evaluationReport({ ...sampleEvaluation(), result: null });
    expect(page.subtitle).toBe("not finished");
  });
});

describe("warnings of an evaluation", () => {
  const subject: EvaluationSubject = {
    model: "m",
    task: "recall, after",
    measure: "answers",
    items: 10,
    tokens: 100,
    decoded: 2,
    maxTokens: 100,
  };
  const found = (mean: number, items = 10) => {
    const interval = { mean, low: mean, high: mean };
    const rest = { tokens: mean, difference: interval, seeds: 1, byDepth: [], kvBytes: 1, values: [] };
    return { items, variants: [{ policy: "full", budget: null, ...interval, ...rest }] };
  };
  const warningsOf = (changes: Partial<EvaluationSubject>, mean: number, items?: number) => {
    const asked = { ...subject, ...changes };
    return evaluationWarnings(asked, evaluationResult("run", asked, found(mean, items)));
  };

  it("are none when the model knows the task, all texts were measured and none was too long", () => {
    expect(warningsOf({}, 0.99)).toEqual([]);
    expect(warningsOf({ measure: "likelihoods" }, 0.5)).toEqual([]);
  });

  it("tell of a model that does not know the task, of time that was up, of texts that are long", () => {
    expect(warningsOf({}, 0.5)[0]).toMatch(/^with a full cache the model answers 50\.0 %/);
    expect(warningsOf({}, 0.99, 4)).toEqual(["time was up after 4 of 10 texts; intervals are wider for it"]);
    expect(warningsOf({ maxTokens: 64 }, 0.99)).toEqual([
      "the texts have 100 tokens, but the model was made for 64",
    ]);
  });
});
