/** @file Sources under a trained model: what `evaluate` and `predict` share. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EncodedDataset } from "../../../recsys/data/encode/encodedDataset.ts";
import { openSource, type Source } from "../../../recsys/data/source/source.ts";
import type { ClickNetwork } from "../../../recsys/training/clickNetwork.ts";
import { loadNetwork, openTrainedModel } from "../../../recsys/training/trainedModel.ts";
import { ParetoError } from "../../../base/errors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { keepingNothing } from "../../interrupt.ts";
import type { Output } from "../../output.ts";
import type { computeOptions } from "../../options/compute.ts";
import { sourceOptions, type ReadValues } from "../../options/source.ts";
import { operand, pathList, text, type Values } from "../../options/spec.ts";

/** The operands: a run's folder, and a source. */
export const modelOperands = {
  run: operand("run", text, { meaning: "Folder of a run" }),
  source: operand("source", pathList, {
    meaning: "Files, folders or globs, with the columns that the model was trained on",
    rest: true,
  }),
};

/** What the commands take. */
type ModelOnSourceValues = Values<typeof modelOperands> &
  ReadValues &
  Values<typeof computeOptions> & {
    /** Whether the source must have the label. */
    labels: "required" | "ignored";
  };

/** A source encoded for a model, and the model. */
export interface ModelOnSource {
  source: Source;
  dataset: EncodedDataset;
  network: ClickNetwork;
}

/**
 * Opens a run's model and a source, encodes the source, and does something with both; all is freed afterwards. A signal
 * ends it, and nothing is kept.
 */
export function withModelOn(
  out: Output,
  values: ModelOnSourceValues,
  work: (opened: ModelOnSource) => Promise<void>,
): Promise<void> {
  return keepingNothing((signal) => openBoth(out, values, signal, work));
}

async function openBoth(
  out: Output,
  { run, source: paths, threads, device, labels, ...reading }: ModelOnSourceValues,
  signal: AbortSignal,
  work: (opened: ModelOnSource) => Promise<void>,
): Promise<void> {
  const model = await openTrainedModel(run);
  const { textColumns, numberForms } = model.encoder;
  const { source: trainedOn } = model.config;
  const format = reading.format ?? trainedOn.format;
  const csv = { ...trainedOn.csv, ...reading.csv };
  await using source = await openSource({
    ...sourceOptions(paths, reading),
    ...(format !== undefined && { format }),
    csv,
    signal,
    textColumns,
    numberForms,
  });
  const onNotice = (message: string) =>
    out.onEvent({ event: "notice", level: "warning", code: "DATA_NOTICE", message });
  source.notices.forEach(onNotice);
  if (csv.header === false) requireWidth(source, model.encoder.sourceColumns);
  const directory = await mkdtemp(join(tmpdir(), "pareto-"));
  const release = holdTemporary(directory);
  try {
    const dataset = await model.encoder.encode(source, join(directory, "rows"), {
      labels,
      onProgress: (done, total, unit, task) =>
        out.onEvent({ event: "progress", task, done, total, unit, rate: null }),
      onNotice,
    });
    const network = await loadNetwork(model, dataset, threads, device);
    try {
      await work({ source, dataset, network });
    } finally {
      await network.dispose();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
    release();
  }
}

/** Columns without names are those of training by their places alone. @throws ParetoError DATA_COLUMNS_DIFFER */
function requireWidth({ name, columns }: Source, trained: number): void {
  if (columns.length === trained) return;
  throw new ParetoError({
    code: "DATA_COLUMNS_DIFFER",
    where: name,
    message: `a file without names must have the columns of training in their order, the label's too: ${trained}, got ${columns.length}`,
    fix: "Add a line of names to both files, or an empty column in the place of the label.",
  });
}
