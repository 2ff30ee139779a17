/**
 * @file The dense part of a click model on a device: a training program and a prediction program over one set of
 * parameters, both of one fixed batch size. Shorter batches are padded with inputs of weight 0, which change
 * neither the loss nor any gradient.
 */
import { grad } from "../../engine/autodiff.ts";
import { trace } from "../../engine/graph/graph.ts";
import { div, mul } from "../../engine/graph/ops/elementwise.ts";
import { sum } from "../../engine/graph/ops/movement.ts";
import type { Device, HostTensors, Program } from "../../engine/program.ts";
import { binaryCrossEntropyWithLogits } from "../../nn/functional.ts";
import { optimizerUpdates, type DenseOptimizer } from "../../nn/optimizers.ts";
import { Parameters } from "../../nn/parameters.ts";
import type { ClickModel } from "./clickModel.ts";

/** A compiled click model without its embedding rows. */
export class DenseModel {
  readonly device: Device;
  readonly model: ClickModel;
  /** Inputs in a batch (B). */
  readonly batchSize: number;
  readonly parameters: Parameters;
  /** Slots of the dense optimizer. */
  readonly slots: Parameters;
  readonly #train: Program;
  readonly #predict: Program;

  private constructor(
    fields: Pick<DenseModel, "device" | "model" | "batchSize" | "parameters" | "slots">,
    train: Program,
    predict: Program,
  ) {
    this.device = fields.device;
    this.model = fields.model;
    this.batchSize = fields.batchSize;
    this.parameters = fields.parameters;
    this.slots = fields.slots;
    this.#train = train;
    this.#predict = predict;
  }

  /** Traces and compiles a model and creates its parameters and slots on the device. */
  static async create(
    device: Device,
    model: ClickModel,
    { batchSize, optimizer, seed }: { batchSize: number; optimizer: DenseOptimizer; seed: number },
  ): Promise<DenseModel> {
    const parameters = new Parameters(seed);
    const slots = new Parameters(seed);
    const train = await device.compile(traceTraining(model, batchSize, optimizer, parameters, slots));
    const predict = await device.compile(tracePrediction(model, batchSize, parameters));
    await parameters.create(device);
    await slots.create(device);
    return new DenseModel({ device, model, batchSize, parameters, slots }, train, predict);
  }

  /**
   * One step: forward, backward, and the update of the dense parameters.
   * @param feeds `dense` `[B, m]`, `rows` `[B, T, D]`, `labels` `[B]`, `weights` `[B]`
   * @param rowGradients receives dL/drows `[B, T, D]`
   * @param step 1-based
   * @returns the mean loss over the batch's weights, and the logits `[B]`, both before the update
   */
  async train(
    feeds: HostTensors,
    rowGradients: Float32Array,
    learningRate: number,
    step: number,
  ): Promise<{ loss: number; logits: Float32Array }> {
    const { loss, logits } = await this.#train.run(
      { ...feeds, learningRate: Float32Array.of(learningRate), step: Float32Array.of(step) },
      { rowGradients },
    );
    return { loss: loss![0]!, logits: logits as Float32Array };
  }

  /** The logits `[B]` of a batch: `dense` `[B, m]`, `rows` `[B, T, D]`. */
  async predict(feeds: HostTensors): Promise<Float32Array> {
    const { logits } = await this.#predict.run(feeds);
    return logits as Float32Array;
  }

  /** Frees the programs; the device stays. */
  async dispose(): Promise<void> {
    await this.#train.dispose();
    await this.#predict.dispose();
  }
}

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/** The graph of one training step. Its loss is Σ wᵢ·ℓᵢ / Σ wᵢ. */
export function traceTraining(
  model: ClickModel,
  batch: number,
  optimizer: DenseOptimizer,
  parameters: Parameters,
  slots: Parameters,
) {
  const { dense, tables, dim } = model.inputs;
  return trace(
    {
      dense: float32(batch, dense),
      rows: float32(batch, tables, dim),
      labels: float32(batch),
      weights: float32(batch),
      learningRate: float32(),
      step: float32(),
    },
    (t) => {
      const logits = model.logits(parameters, t.dense, t.rows);
      const losses = binaryCrossEntropyWithLogits(logits, t.labels);
      const loss = div(sum(mul(losses, t.weights)), sum(t.weights));
      const weights = parameters.tensors;
      const [rowGradients, ...gradients] = grad(loss, [t.rows, ...weights]);
      const updates = optimizerUpdates(optimizer, slots, weights, gradients, t.learningRate, t.step);
      return { outputs: { loss, logits, rowGradients: rowGradients! }, updates };
    },
  );
}

/** The graph of a prediction. */
export function tracePrediction(model: ClickModel, batch: number, parameters: Parameters) {
  const { dense, tables, dim } = model.inputs;
  return trace({ dense: float32(batch, dense), rows: float32(batch, tables, dim) }, (t) => ({
    outputs: { logits: model.logits(parameters, t.dense, t.rows) },
  }));
}
