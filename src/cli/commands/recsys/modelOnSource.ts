/** @file Sources under a trained model: what `evaluate` and `predict` share. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EncodedDataset } from "../../../recsys/data/encode/encodedDataset.ts";
import { openSource, type Source } from "../../../recsys/data/source/source.ts";
import type { ClickNetwork } from "../../../recsys/training/clickNetwork.ts";
import { loadNetwork, openTrainedModel } from "../../../recsys/training/trainedModel.ts";
import type { Output } from "../../output.ts";
import type { ComputeFlags } from "../../options/compute.ts";
import { sourceOptions, type ReadFlags } from "../../options/source.ts";

/** A source encoded for a model, and the model. */
export interface ModelOnSource {
  source: Source;
  dataset: EncodedDataset;
  network: ClickNetwork;
}

/**
 * Opens a run's model and a source, encodes the source, and does something with both; all is freed afterwards.
 * @param labels whether the source must have the label
 */
export async function withModelOn(
  out: Output,
  run: string,
  paths: readonly string[],
  { threads, device, labels, ...flags }: ReadFlags & ComputeFlags & { labels: "required" | "ignored" },
  work: (opened: ModelOnSource) => Promise<void>,
): Promise<void> {
  const model = await openTrainedModel(run);
  const { textColumns } = model.encoder;
  const format = flags.format ?? model.config.source.format;
  await using source = await openSource({
    ...sourceOptions(paths, flags),
    ...(format !== undefined && { format }),
    textColumns,
  });
  const directory = await mkdtemp(join(tmpdir(), "pareto-"));
  try {
    const dataset = await model.encoder.encode(source, join(directory, "rows"), {
      labels,
      onProgress: (done, total, unit, task) =>
        out.onEvent({ event: "progress", task, done, total, unit, rate: null }),
    });
    for (const message of source.notices) {
      out.onEvent({ event: "notice", level: "warning", code: "DATA_NOTICE", message });
    }
    const network = await loadNetwork(model, dataset, threads, device);
    try {
      await work({ source, dataset, network });
    } finally {
      await network.dispose();
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
