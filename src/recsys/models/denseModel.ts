/**
 * @file The dense part of a CTR model on a device: training steps and predictions over one set of parameters, both of
 * one fixed batch size. Shorter batches are padded with inputs of weight 0, which change neither the loss nor any
 * gradient.
 */
import { trace } from "../../engine/graph/graph.ts";
import { div, mul, neg } from "../../engine/graph/ops/elementwise.ts";
import { sum } from "../../engine/graph/ops/movement.ts";
import type { BoundTensors, Device, HostTensors } from "../../engine/program.ts";
import { binaryCrossEntropyWithLogits } from "../../nn/functional.ts";
import type { DenseOptimizer } from "../../nn/optimizers.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { LossFunction } from "../../nn/training/lossFunction.ts";
import { Network } from "../../run/network/network.ts";
import type { StepTime } from "../../run/network/stepInputs.ts";
import type { CtrModel } from "./ctrModel.ts";

/** A CTR model without its embedding rows. */
export class DenseModel {
  readonly model: CtrModel;
  /** Inputs in a batch (B). */
  readonly batchSize: number;
  /** Its parameters, their optimizer state, and the programs. */
  readonly network: Network<{ batchSize: number }>;

  private constructor({ model, batchSize, network }: Pick<DenseModel, "model" | "batchSize" | "network">) {
    this.model = model;
    this.batchSize = batchSize;
    this.network = network;
  }

  /** Compiles a model and creates its parameters and optimizer state on the device, which stays open afterwards. */
  static async create(
    device: Device,
    model: CtrModel,
    { batchSize, optimizer, seed }: { batchSize: number; optimizer: DenseOptimizer; seed: number },
  ): Promise<DenseModel> {
    // Rows in device memory are guarded there: their update is asked for before the loss has come back.
    const isGuarded = device.target === "cuda";
    const network = await Network.create([device], {
      seed,
      training: {
        loss: (shape: { batchSize: number }) => ctrLoss(model, shape.batchSize, isGuarded),
        update: { optimizer },
        smallest: { batchSize: 1 },
      },
    });
    await network.compile({ batchSize });
    return new DenseModel({ model, batchSize, network });
  }

  /** Where it computes. */
  get device(): Device {
    return this.network.devices[0]!;
  }

  /**
   * One step: forward, backward, and the update of the dense parameters. The device is asked for it before this returns.
   * @param feeds `dense` `[B, m]`, `rows` `[B, T, D]`, `labels` `[B]`, `weights` `[B]`
   * @param into receives outputs, by name: `loss` `[]`, the mean over the batch's weights, `logits` `[B]`, `rowGradients`
   * `[B, T, D]`, and on a device with memory of its own `guard`: a scalar there that is finite exactly when the loss is
   * @returns the outputs, of before the update
   */
  async train(feeds: BoundTensors, time: StepTime, into?: BoundTensors): Promise<HostTensors> {
    const part = { shape: { batchSize: this.batchSize }, feeds, ...(into && { into }) };
    const [outputs] = await this.network.train([part], time);
    return outputs!;
  }

  /** The logits `[B]` of a batch: `dense` `[B, m]`, `rows` `[B, T, D]`. */
  async predict(feeds: BoundTensors, into: { logits?: Float32Array } = {}): Promise<Float32Array> {
    const { network, model, batchSize } = this;
    const graph = () => tracePrediction(model, batchSize, network.parameters);
    const { logits } = await network.run("predict", graph, feeds, { into });
    return logits as Float32Array;
  }

  /** Frees the programs; the device stays. */
  async dispose(): Promise<void> {
    await this.network.dispose();
  }
}

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/**
 * The loss of a batch, Σ wᵢ·ℓᵢ / Σ wᵢ with ℓ the binary cross-entropy. Its gradient by the rows is an output too.
 * @param isGuarded adds the output `guard`, which is finite exactly when the loss is
 */
export function ctrLoss(model: CtrModel, batchSize: number, isGuarded = false): LossFunction {
  const { dense, tables, dim } = model.inputs;
  return {
    inputs: {
      dense: float32(batchSize, dense),
      rows: float32(batchSize, tables, dim),
      labels: float32(batchSize),
      weights: float32(batchSize),
    },
    apply(parameters, t) {
      const { rows, weights } = t;
      const logits = model.logits(parameters, t["dense"]!, rows!);
      const losses = binaryCrossEntropyWithLogits(logits, t["labels"]!);
      const loss = div(sum(mul(losses, weights!)), sum(weights!));
      return {
        loss,
        outputs: isGuarded ? { logits, guard: neg(loss) } : { logits },
        gradients: { rowGradients: rows! },
      };
    },
  };
}

/** The graph of a prediction. */
export function tracePrediction(model: CtrModel, batch: number, parameters: Parameters) {
  const { dense, tables, dim } = model.inputs;
  return trace({ dense: float32(batch, dense), rows: float32(batch, tables, dim) }, (t) => ({
    outputs: { logits: model.logits(parameters, t.dense, t.rows) },
  }));
}
