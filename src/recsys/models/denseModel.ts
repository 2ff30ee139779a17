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
import type { CtrMode, CtrModel } from "./ctrModel.ts";
import { featuresOf, rowFloats } from "./features.ts";

/** Inputs of a program, and whether they are one part of several of their batch. */
export interface CtrShape {
  batchSize: number;
  isPart?: boolean;
}

/** A part of a batch for the dense model. */
export interface DensePart {
  /** Inputs of its program. */
  size: number;
  feeds: BoundTensors;
  into: BoundTensors;
}

/** A CTR model without its embedding rows. */
export class DenseModel {
  readonly model: CtrModel;
  /** Inputs in a batch (B). */
  readonly batchSize: number;
  /** Its parameters, their optimizer state, and the programs. */
  readonly network: Network<CtrShape>;

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
        loss: (shape: CtrShape) => ctrLoss(model, shape, isGuarded),
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
   * @param feeds `dense` `[B, m]`, `rows` `[B, T, S]`, `labels` `[B]`, `weights` `[B]`
   * @param into receives outputs, by name: `loss` `[]`, the mean over the batch's weights, `logits` `[B]`, `rowGradients`
   * `[B, T, S]`, and on a device with memory of its own `guard`: a scalar there that is finite exactly when the loss is
   * @returns the outputs, of before the update
   */
  async train(feeds: BoundTensors, time: StepTime, into?: BoundTensors): Promise<HostTensors> {
    const part = { shape: { batchSize: this.batchSize }, feeds, ...(into && { into }) };
    const [outputs] = await this.network.train([part], time);
    return outputs!;
  }

  /**
   * One step over a batch in several parts, each with a program of the size that its inputs are padded to: gradients of
   * all parts, their sum, and one update.
   * @param parts feeds as {@link train}, and `weightSum` `[]`, the weights of all parts; their losses add up to the batch's
   * @returns the outputs of each part, of before the update
   */
  trainParts(parts: readonly DensePart[], time: StepTime): Promise<HostTensors[]> {
    const shaped = parts.map(({ size, feeds, into }) => ({
      shape: { batchSize: size, isPart: true },
      feeds,
      into,
    }));
    return this.network.train(shaped, time);
  }

  /** The logits `[B]` of a batch: `dense` `[B, m]`, `rows` `[B, T, S]`. */
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

/** The mode of predictions. */
export const PREDICTION: CtrMode = { isTraining: false, dropout: (x) => x };

/** What a program is fed of a batch's features. */
function featureSpecs({ inputs }: CtrModel, batch: number) {
  return {
    dense: float32(batch, inputs.dense),
    rows: float32(batch, inputs.fields.length, rowFloats(inputs)),
  };
}

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });

/**
 * The loss of a batch, Σ wᵢ·ℓᵢ / Σ wᵢ with ℓ the binary cross-entropy; of a part of a batch, its share of that. Its
 * gradient by the rows is an output too.
 * @param isGuarded adds the output `guard`, which is finite exactly when the loss is
 */
export function ctrLoss(
  model: CtrModel,
  { batchSize, isPart = false }: CtrShape,
  isGuarded = false,
): LossFunction {
  return {
    ...(model.dropouts !== undefined && { dropouts: model.dropouts }),
    inputs: {
      ...featureSpecs(model, batchSize),
      labels: float32(batchSize),
      weights: float32(batchSize),
      ...(isPart && { weightSum: float32() }),
    },
    apply(parameters, t, dropout) {
      const { rows, weights } = t;
      const features = featuresOf(model.inputs, t["dense"]!, rows!);
      const logits = model.apply(parameters, features, { isTraining: true, dropout });
      const losses = binaryCrossEntropyWithLogits(logits, t["labels"]!);
      const weightSum = isPart ? t["weightSum"]! : sum(weights!);
      const loss = div(sum(mul(losses, weights!)), weightSum);
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
  return trace(featureSpecs(model, batch), (t) => {
    const features = featuresOf(model.inputs, t.dense, t.rows);
    return { outputs: { logits: model.apply(parameters, features, PREDICTION) } };
  });
}
