/** @file The tiny models of `golden/llm`, each case in a folder of its own with the configuration that it changes. */
import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SafetensorsFile } from "../../../src/base/safetensors.ts";
import { DenseDecoder } from "../../../src/llm/cpu/denseDecoder.ts";
import { openModelFolder } from "../../../src/llm/load/modelFolder.ts";
import type { ModelFiles } from "../../../src/llm/load/weights.ts";
import { openRunner } from "../../../src/llm/runner/openRunner.ts";
import type { LlmRunner } from "../../../src/llm/runner/runner.ts";
import type { RunnerDevice } from "./runnerDevices.ts";

const golden = join(import.meta.dirname, "../../../golden/llm");

interface Cases {
  /** Tokens read at once. */
  prompt: number;
  tokens: number[];
  /** What each case changes in `config.json`, by model. */
  models: Record<string, Record<string, Record<string, unknown>>>;
}

/** The text and the cases. */
export const cases = JSON.parse(await readFile(join(golden, "cases.json"), "utf8")) as Cases;

/** Model and case, for `describe.each`. */
export const caseNames: [model: string, name: string][] = Object.entries(cases.models).flatMap(
  ([model, changes]) => Object.keys(changes).map((name): [string, string] => [model, name]),
);

/** A copy of a model's folder with a case's configuration. Remove it when done. */
export async function caseFolder(
  model: string,
  name: string,
  change: Record<string, unknown> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "pareto-llm-"));
  await cp(join(golden, model), folder, { recursive: true });
  await rm(join(folder, "logits.safetensors"));
  const path = join(folder, "config.json");
  const config = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  await writeFile(path, JSON.stringify({ ...config, ...cases.models[model]![name], ...change }));
  return folder;
}

/** A case's files, for as long as they are used. */
async function withFiles<T>(model: string, name: string, use: (files: ModelFiles) => Promise<T>): Promise<T> {
  const folder = await caseFolder(model, name);
  const files = await openModelFolder(folder);
  try {
    return await use(files);
  } finally {
    await files.close();
    await rm(folder, { recursive: true });
  }
}

/** A case's model, loaded, in float32. */
export function openCase(
  model: string,
  name: string,
  maxSequences = 1,
  device: RunnerDevice = "cpu",
): Promise<LlmRunner> {
  return withFiles(model, name, (files) =>
    openRunner(files, { device, dtype: "f32", threads: 1, maxSequences }),
  );
}

/** The dense part of a case's model alone. */
export function openDense(model: string, name: string): Promise<DenseDecoder> {
  return withFiles(model, name, (files) => DenseDecoder.open(files, { threads: 1 }));
}

/** The logits `[tokens, vocabulary]` that transformers computed. */
export async function goldenLogits(model: string, name: string): Promise<Float32Array> {
  const file = await SafetensorsFile.open(join(golden, model, "logits.safetensors"));
  try {
    return (await file.read(name)) as Float32Array;
  } finally {
    await file.close();
  }
}

/** The largest difference of two arrays. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  // NaN must not pass for a small difference.
  return Array.from(a).reduce((most, x, i) => {
    const difference = Math.abs(x - b[i]!);
    return difference <= most ? most : difference;
  }, 0);
}
