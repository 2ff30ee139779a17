/**
 * @file A plan between a strategy and the devices: its parts' inputs copied into host arrays, their embedding rows staged
 * in one staging buffer of each store, the dense step over them, and what the step gave back.
 */
import type { BoundTensors } from "../../engine/program.ts";
import type { StepTime } from "../../run/network/stepInputs.ts";
import type { EmbeddingStore, StagedTensor } from "../embedding/embeddingStore.ts";
import { paddedSize } from "../embedding/partPadding.ts";
import type { DenseModel } from "../models/denseModel.ts";
import type { BatchPlan, PlanPart } from "../strategies/batchPlan.ts";
import { PaddedRows, StepBuffers } from "./stepBuffers.ts";

/** A plan whose rows are gathered. */
export interface StagedPlan {
  parts: StagedPart[];
  /** The stores of its parts, each once. */
  stores: EmbeddingStore[];
  /** Inputs of all parts. */
  size: number;
  /** Batches of the epoch's order that it uses up. */
  batches: number;
  /** Whether the update of its rows may be asked for before the loss is known. */
  isQueued: boolean;
}

interface StagedPart {
  store: EmbeddingStore;
  /** Which part of the store's staged batch it is. */
  place: number;
  /** Inputs of its program. */
  inputs: number;
  host: HostPart;
}

/** Host arrays of a part. */
interface HostPart {
  buffers: StepBuffers;
  padded: PaddedRows;
}

/** What a step came to. */
export interface StepOutcome {
  /** Mean loss over the batch's weights, before the update. */
  loss: number;
  /** Logits before the update, and labels, of all parts one after the other. */
  logits: Float32Array;
  labels: Float32Array;
}

/** The parts of a plan that have inputs. */
export function partsWithInputs({ parts }: BatchPlan): PlanPart[] {
  return parts.filter(({ inputs }) => inputs.size > 0);
}

/** Host arrays for one plan at a time, which is staged in the staging buffer of the same number of every store. */
export class PlanBuffers {
  readonly #dense: DenseModel;
  readonly #buffer: number;
  readonly #host: HostPart[];

  constructor(dense: DenseModel, buffer: number) {
    this.#dense = dense;
    this.#buffer = buffer;
    this.#host = [this.#hostPart()];
  }

  /**
   * Copies a plan's inputs in and stages its rows.
   * @param batches that the plan uses up
   * @throws ParetoError as `EmbeddingStore.stage`
   */
  async stage(parts: readonly PlanPart[], batches: number): Promise<StagedPlan> {
    while (this.#host.length < parts.length) this.#host.push(this.#hostPart());
    const byStore = new Map<EmbeddingStore, PlanPart[]>();
    const staged = parts.map((part, i): StagedPart => {
      const { store, inputs } = part;
      const ofStore = byStore.get(store) ?? [];
      byStore.set(store, ofStore);
      const host = this.#host[i]!;
      host.buffers.take(part);
      const programInputs = paddedSize(inputs.size, parts.length, this.#dense.batchSize);
      return { store, place: ofStore.push(part) - 1, inputs: programInputs, host };
    });
    if (parts.length > 1) this.#sumWeights(parts);
    const stores = [...byStore.keys()];
    await Promise.all(
      stores.map((store) =>
        store.stage(this.#buffer, ...byStore.get(store)!.map(({ inputs }) => inputs.lookups)),
      ),
    );
    return {
      parts: staged,
      stores,
      size: parts.reduce((sum, { inputs }) => sum + inputs.size, 0),
      batches,
      isQueued: parts.length === 1 && stores[0]!.memory === "device",
    };
  }

  /** Asks for the dense step, and of a queued plan for the update of its rows. */
  start({ parts, isQueued }: StagedPlan, time: StepTime): Promise<unknown> {
    const bound = parts.map((part) => this.#bind(part));
    const [first] = bound;
    const ran =
      parts.length === 1
        ? this.#dense.train(first!.feeds, time, first!.into)
        : this.#dense.trainParts(
            bound.map(({ size, feeds, weightSum, into }) => ({
              size,
              feeds: { ...feeds, weightSum },
              into,
            })),
            time,
          );
    const done = ran.then(() => {
      for (const { gradients, written, padded } of bound) padded.unpad(gradients, written);
    });
    const { learningRate, step } = time;
    const asked = isQueued ? parts[0]!.store.update(this.#buffer, learningRate, step) : undefined;
    return asked ? Promise.all([done, asked]) : done;
  }

  /** Predicts the logits of a staged batch, `[size]`. */
  async predict({ parts: [part], size }: StagedPlan): Promise<Float32Array> {
    const { store, inputs, host } = part!;
    const { dense, logits } = host.buffers.arrays(inputs);
    const rows = host.padded.rows(store.rows(this.#buffer), inputs);
    return (await this.#dense.predict({ dense, rows }, { logits })).subarray(0, size);
  }

  /** The mean loss of a step that is done. */
  loss({ parts }: StagedPlan): number {
    return parts.reduce((sum, { host }) => sum + host.buffers.loss[0]!, 0);
  }

  /** What a step that is done came to; its arrays are valid until the next plan is staged here. */
  outcome(plan: StagedPlan): StepOutcome {
    const loss = this.loss(plan);
    const results = plan.parts.map(({ host }) => host.buffers.results);
    if (results.length === 1) return { loss, ...results[0]! };
    const [logits, labels] = [new Float32Array(plan.size), new Float32Array(plan.size)];
    let at = 0;
    for (const part of results) {
      logits.set(part.logits, at);
      labels.set(part.labels, at);
      at += part.labels.length;
    }
    return { loss, logits, labels };
  }

  #hostPart(): HostPart {
    return { buffers: new StepBuffers(this.#dense), padded: new PaddedRows(this.#dense) };
  }

  #sumWeights(parts: readonly PlanPart[]): void {
    let total = 0;
    for (const { inputs, weights } of parts) {
      total += weights ? weights.subarray(0, inputs.size).reduce((sum, w) => sum + w, 0) : inputs.size;
    }
    for (const i of parts.keys()) this.#host[i]!.buffers.weightSum[0] = total;
  }

  #bind({ store, place, inputs, host: { buffers, padded } }: StagedPart): BoundPart {
    const { dense, labels, weights, logits } = buffers.arrays(inputs);
    const gradients = store.gradients(this.#buffer, place);
    const written = padded.gradients(gradients, inputs);
    const rows = padded.rows(store.rows(this.#buffer, place), inputs);
    const { weightSum, loss } = buffers;
    const guard = store.guard(this.#buffer);
    return {
      size: inputs,
      feeds: { dense, rows, labels, weights },
      weightSum,
      into: { loss, logits, rowGradients: written, ...(guard && { guard }) },
      gradients,
      written,
      padded,
    };
  }
}

/** A part as the dense model takes it, and where its row gradients go. */
interface BoundPart {
  size: number;
  feeds: BoundTensors;
  weightSum: Float32Array;
  into: BoundTensors;
  gradients: StagedTensor;
  written: StagedTensor;
  padded: PaddedRows;
}
