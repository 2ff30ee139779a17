/** @file DLRM of Criteo Kaggle's shape on a GPU, its rows placed as asked, as training makes it. */
import type { ClickSchema } from "../../src/recsys/data/batches/clickBatch.ts";
import { synthPresets } from "../../src/recsys/data/synth/presets.ts";
import { describeMachine } from "../../src/base/environment.ts";
import type { Precision } from "../../src/engine/program.ts";
import type { CudaDevice } from "../../src/engine/targets/cuda/index.ts";
import { ClickNetwork } from "../../src/recsys/training/clickNetwork.ts";
import type { TrainingSettings } from "../../src/recsys/training/settings.ts";
import { DIM } from "../recsys/kaggle.ts";

/** What differs from run to run. */
export interface NetworkChoice {
  placement: "device" | "hybrid";
  batchSize: number;
  precision?: Precision;
  strategy?: "baseline" | "fae";
  learningRate?: number;
}

/** The network and its settings. */
export interface KaggleNetwork {
  network: ClickNetwork;
  settings: TrainingSettings;
  device: CudaDevice;
}

/** Makes a network over tables of these sizes. */
export async function createNetwork(rows: readonly number[], choice: NetworkChoice): Promise<KaggleNetwork> {
  const { placement, batchSize, precision = "float32", strategy = "baseline" } = choice;
  const { label, dense, categorical } = synthPresets.kaggle;
  const schema: ClickSchema = {
    label,
    dense: dense.map((name) => ({ name, transform: "log1p", mean: 0, deviation: 1 })),
    categorical: categorical.map((name, t) => ({
      name,
      encoding: "hash",
      cardinality: rows[t]!,
      multiHot: false,
    })),
  };
  const settings: TrainingSettings = {
    model: `dlrm:dim=${DIM},bottom=(512,256,64),top=(512,256)`,
    strategy,
    hot: "topk",
    optimizer: "sgd",
    learningRate: choice.learningRate ?? 0.01,
    decay: "constant",
    batchSize,
    epochs: 1,
    patience: 1,
    seed: 1,
    threads: describeMachine().cores,
    device: "cuda",
    placement,
    precision,
  };
  const network = await ClickNetwork.create(settings, schema, { maxLookups: batchSize * rows.length });
  return { network, settings, device: network.device as CudaDevice };
}
