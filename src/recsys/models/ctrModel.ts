/**
 * @file What a CTR model is to the rest: from features to the logit of a click. Embedding rows live in embedding stores,
 * outside the graph; a model says what it reads of each categorical field and gets that as tensors.
 */
import type { z } from "zod";
import type { JsonValue } from "../../base/jsonFile.ts";
import type { Tensor } from "../../engine/graph/node.ts";
import type { Parameters } from "../../nn/parameters.ts";
import type { Dropout } from "../../nn/training/lossFunction.ts";
import type { OptionsSchema } from "../../run/policies/policy.ts";
import type { ClickBatch, ClickSchema } from "../data/batches/clickBatch.ts";

/** What a model reads of a categorical field. */
export interface FieldRequest {
  /** Floats of an embedding (D); 0 where only first-order weights are read. */
  dim: number;
  /** How the embeddings of an input's ids become one. Defaults to `sum`. */
  pooling?: "sum" | "mean";
  /** Most ids of an input that are kept apart, in their order. Defaults to 0: none are. */
  sequenceLength?: number;
  /** Whether each id has a weight of its own beside its embedding, as in a factorization machine. Defaults to no. */
  hasFirstOrder?: boolean;
}

/** What a model is made for. */
export interface CtrInputs {
  /** Dense columns (m). */
  dense: number;
  /** Of each categorical field (T), in the order of the schema. */
  fields: readonly FieldRequest[];
}

/** The ids of an input that are kept apart. */
export interface SequenceFeatures {
  /** `[B, L, D]`, zeros beyond an input's length. */
  embeddings: Tensor;
  /** `[B]`, ids of each input, at most L. */
  lengths: Tensor;
}

/** What a batch's inputs look like to a model. Asking for what its inputs do not name is a defect of the model. */
export interface CtrFeatures {
  /** `[B, m]`; m may be 0. */
  readonly dense: Tensor;
  /** Pooled embeddings of all fields, `[B, T, D]`, where all have one dimension; T may be 0. */
  readonly embeddings: Tensor;
  /** Pooled embedding of a field, `[B, D]`. */
  embedding(field: number): Tensor;
  /** The embeddings of a field's ids, kept apart. */
  sequence(field: number): SequenceFeatures;
  /** Sum of the first-order weights of a field's ids, `[B]`. */
  firstOrder(field: number): Tensor;
}

/** What a graph is traced for. */
export interface CtrMode {
  isTraining: boolean;
  /** Drops elements in training; in prediction it gives back what it gets. */
  dropout: Dropout;
}

/** A CTR model. */
export interface CtrModel {
  readonly name: string;
  readonly inputs: CtrInputs;
  /** How many dropouts it has; they are numbered from 0. Defaults to 0. */
  readonly dropouts?: number;
  /**
   * The logits of a batch, `[B]`. Called once when a graph is traced.
   * @param parameters declared as they are asked for; training and prediction share them by name
   */
  apply(parameters: Parameters, features: CtrFeatures, mode: CtrMode): Tensor;
}

/** The training part, for models that must know something of it before they are made. */
export interface TrainStatistics {
  schema: ClickSchema;
  /** Inputs. */
  rows: number;
  /** Labels that are 0, and labels that are 1. */
  labelCounts: readonly [number, number];
  /** Its inputs, as often as wanted; the arrays of one batch may be overwritten `recycle` batches later. */
  batches(options: { batchSize: number; recycle?: number }): AsyncIterable<ClickBatch>;
}

/**
 * A CTR model by name. `models/registry.ts` lists them all.
 * @typeParam Schema of its options
 */
export interface CtrModelDefinition<Schema extends OptionsSchema = OptionsSchema> {
  readonly kind: "recsys.model";
  /** Lower case, as users write it. */
  readonly name: string;
  /** One sentence: how it turns features into a logit. */
  readonly summary: string;
  /** The publication, or `ours`. */
  readonly source: string;
  /** Every key with its meaning and default. */
  readonly options: Schema;
  /**
   * What must be known of the training part before the model is made, e.g. which pairs of fields to cross. It is kept with
   * the run. Left out by models that need nothing.
   */
  readonly prepare?: (options: z.output<Schema>, train: TrainStatistics) => Promise<JsonValue>;
  /**
   * Makes the model for the columns of a schema.
   * @param prepared what `prepare` found; null without it
   */
  readonly create: (options: z.output<Schema>, schema: ClickSchema, prepared: JsonValue) => CtrModel;
}

/** Checks a definition's types and hides its options' type, so that definitions can stand in one list. */
export function defineCtrModel<Schema extends OptionsSchema>(
  definition: Omit<CtrModelDefinition<Schema>, "kind">,
): CtrModelDefinition {
  return { kind: "recsys.model", ...definition } as unknown as CtrModelDefinition;
}
