/**
 * @file The dense part of a CTR model on a device: a training program and a prediction program over one set of
 * parameters, both of one fixed batch size. Shorter batches are padded with inputs of weight 0, which change
 * neither the loss nor any gradient.
 */
import { grad } from "../../engine/autodiff.ts";
import { trace } from "../../engine/graph/graph.ts";
import { div, mul, neg } from "../../engine/graph/ops/elementwise.ts";
import { sum } from "../../engine/graph/ops/movement.ts";
import type { BoundTensors, Device, DeviceTensor, HostTensors, Program } from "../../engine/program.ts";
import { binaryCrossEntropyWithLogits } from "../../nn/functional.ts";
import { optimizerUpdates, type DenseOptimizer } from "../../nn/optimizers.ts";
import { Parameters } from "../../nn/parameters.ts";
import type { CtrModel } from "./ctrModel.ts";

/** A compiled CTR model without its embedding rows. */
export class DenseModel {
  readonly device: Device;
  readonly model: CtrModel;
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
    model: CtrModel,
    { batchSize, optimizer, seed }: { batchSize: number; optimizer: DenseOptimizer; seed: number },
  ): Promise<DenseModel> {
    const parameters = new Parameters(seed);
    const slots = new Parameters(seed);
    // Rows in device memory are guarded there: their update is asked for before the loss has come back.
    const guarded = device.target === "cuda";
    const training = traceTraining(model, batchSize, optimizer, parameters, slots, guarded);
    const train = await device.compile(training);
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
    feeds: BoundTensors,
    rowGradients: Float32Array | DeviceTensor,
    learningRate: number,
    step: number,
  ): Promise<{ loss: number; logits: Float32Array }> {
    const { loss, logits } = await this.trainWith(
      { ...feeds, learningRate: Float32Array.of(learningRate), step: Float32Array.of(step) },
      { rowGradients },
    );
    return { loss: loss![0]!, logits: logits as Float32Array };
  }

  /**
   * {@link train} with everything given: feeds also `learningRate` and `step`, both `[]`.
   * @param into any of `loss`, `logits`, `rowGradients`, and on a device with memory of its own `guard`: a scalar there
   * that is finite exactly when the loss is
   */
  trainWith(feeds: BoundTensors, into: BoundTensors): Promise<HostTensors> {
    return this.#train.run(feeds, into);
  }

  /** The logits `[B]` of a batch: `dense` `[B, m]`, `rows` `[B, T, D]`. */
  async predict(feeds: BoundTensors, into: { logits?: Float32Array } = {}): Promise<Float32Array> {
    const { logits } = await this.#predict.run(feeds, into);
    return logits as Float32Array;
  }

  /** Frees the programs; the device stays. */
  async dispose(): Promise<void> {
    await this.#train.dispose();
    await this.#predict.dispose();
  }
}

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/**
 * The graph of one training step. Its loss is Σ wᵢ·ℓᵢ / Σ wᵢ.
 * @param guarded adds the output `guard`, which is finite exactly when the loss is
 */
export function traceTraining(
  model: CtrModel,
  batch: number,
  optimizer: DenseOptimizer,
  parameters: Parameters,
  slots: Parameters,
  guarded = false,
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
      const { learningRate, step } = t;
      const updates = optimizerUpdates(optimizer, {
        parameters: weights,
        gradients,
        optimizerState: slots,
        learningRate,
        step,
      });
      const outputs = { loss, logits, rowGradients: rowGradients! };
      return { outputs: guarded ? { ...outputs, guard: neg(loss) } : outputs, updates };
    },
  );
}

/** The graph of a prediction. */
export function tracePrediction(model: CtrModel, batch: number, parameters: Parameters) {
  const { dense, tables, dim } = model.inputs;
  return trace({ dense: float32(batch, dense), rows: float32(batch, tables, dim) }, (t) => ({
    outputs: { logits: model.logits(parameters, t.dense, t.rows) },
  }));
}
