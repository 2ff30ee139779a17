/** @file What `docs/results/llm.md` says of language models, from the newest files of `bench/results`. */
import type { QualityFile, QualityResult } from "../../bench/llmQuality/qualityFile.ts";
import { contextTable } from "../../bench/llm/curves.ts";
import {
  ablationTable,
  curveTable,
  findingsTable,
  storyTable,
} from "../../bench/llmQuality/qualityTables.ts";
import { drawPicture, type Panel } from "../../src/report/picture.ts";
import { loadPlot } from "../../src/report/plotLibrary.ts";
import { seriesColor } from "../../src/report/style.ts";
import { linkTo, newestResults, type ResultFile } from "./resultFiles.ts";
import { origin, speedResults, type SpeedFile } from "./speedResults.ts";

function qualityFiles(): Promise<ResultFile<QualityFile>[]> {
  return newestResults<QualityFile>((name) => name.startsWith("llm-quality"));
}

/** Curves, ablations, findings and stories. */
export async function llmQuality(): Promise<string> {
  const files = await qualityFiles();
  if (files.length === 0) return "Not measured yet.";
  const contents = files.map(({ content }) => content);
  const ablations = contents.flatMap((content) => content.ablations);
  // Which token comes can hang on the last bit of a logit, so runs in other dtypes differ; the newest is shown.
  const [stories] = contents
    .toSorted((a, b) => b.machine.date.localeCompare(a.machine.date))
    .flatMap((content) => content.stories ?? []);
  const parts = [
    ...contents.flatMap(({ curves }) => curves.map(curveTable)),
    ...(ablations.length > 0 ? [["#### The paper's options, one at a time"]] : []),
    ...ablations.map(ablationTable),
    ...(ablations.length > 0 ? [["#### The paper's findings"], findingsTable(ablations)] : []),
    ...(stories ? [["#### A real checkpoint"], storyTable(stories)] : []),
    [
      "Measured on:",
      "",
      ...files.map((file) => {
        const { machine, gpu, command, dtype } = file.content;
        return `- ${origin(machine, gpu)}, ${dtype}, \`${command}\` (${linkTo(file)})`;
      }),
    ],
  ];
  return parts.map((lines) => lines.join("\n")).join("\n\n");
}

/** Tables of speed, and of steps and prompts by context where a file has them. */
export async function llmSpeed(): Promise<string> {
  const files = await newestResults<SpeedFile>((name) => name.startsWith("llm-speed"));
  const points = files.flatMap(({ content }) => content.results.flatMap((result) => result.points ?? []));
  const tables = await speedResults("llm-speed");
  if (points.length === 0) return tables;
  const title = "#### By context: MPT-7B's shape, bf16, one text, on the GPU above";
  return [tables, title, contextTable(points).join("\n")].join("\n\n");
}

/** Names of protocols, as the plot has them. */
const PANELS = { "in-prompt": "the question in the prompt", after: "the question after the prompt" } as const;
/** Policies that are drawn, in the order of their colours. */
const DRAWN = ["keyformer", "h2o", "snapkv", "tova", "streaming", "window", "random"];

/** The plot of recall against budget, as SVG; null where it was not measured. */
export async function recallPlot(): Promise<string | null> {
  const curves = (await qualityFiles()).flatMap(({ content }) => content.curves);
  const panels = Object.entries(PANELS).flatMap(([protocol, title]): Panel[] => {
    const result = curves.find(
      (curve) => curve.model === "recall-rotary" && curve.task === "recall" && curve.protocol === protocol,
    );
    return result === undefined ? [] : [panelOf(result, title)];
  });
  if (panels.length === 0) return null;
  const words = "Right answers in percent by the share of the prompt that is kept, for each cache policy";
  return drawPicture(await loadPlot(), words, panels);
}

/** Percent of the prompt between two policies' bars, which would hide each other at the same place. */
const APART = 0.3;

function panelOf({ arms, tokens, items }: QualityResult, title: string): Panel {
  const measured = DRAWN.filter((policy) => arms.some((arm) => arm.policy === policy));
  return {
    title: `Recall, ${title}`,
    note: `${items} texts of ${tokens} tokens`,
    chart: {
      kind: "lines",
      x: { label: "% of the prompt kept in the cache", domain: [0, 100], ticks: [0, 20, 40, 60, 80, 100] },
      y: { label: "right answers, %", domain: [0, 100], ticks: [0, 25, 50, 75, 100] },
      rules: [{ axis: "y", at: 100 * arms[0]!.mean, label: "full cache" }],
      series: measured.map((policy, i) => ({
        name: policy,
        color: seriesColor(i),
        mark: "dots",
        points: arms
          .filter((arm) => arm.policy === policy && arm.budget !== null)
          .map(({ budget, mean, low, high }) => ({
            x: 100 * budget! + APART * (i - (measured.length - 1) / 2),
            y: 100 * mean,
            low: 100 * low,
            high: 100 * high,
          })),
      })),
    },
  };
}
