/**
 * @file A trained CTR model as one `.onnx` file that answers with probabilities: embedding tables, pooling, the
 * dense model and the sigmoid.
 *
 * Inputs: `dense` float32 `[batch, m]`, values already transformed as the schema says, and `ids` int32
 * `[batch, T]`, one row id a table. When a column holds lists, ids are `[batch, T, bag]` instead: each bag's ids
 * first, then −1 for none, in every column; `bag` may have any length of at least 1. An input of no columns is
 * left out. Output: `probability` float32 `[batch]`. The columns, in order, with transforms and cardinalities lie
 * in the model's metadata as JSON under `pareto.inputs`; vocabularies stay in the run's folder.
 */
import type { ClickSchema } from "./data/batches/clickBatch.ts";
import { paretoVersion } from "../base/environment.ts";
import { ParetoError } from "../base/errors.ts";
import type { TypedArray } from "../base/dtype.ts";
import { trace, type Graph } from "../engine/graph/graph.ts";
import type { Tensor, TensorSpec } from "../engine/graph/node.ts";
import { less, sigmoid, where } from "../engine/graph/ops/elementwise.ts";
import { gather } from "../engine/graph/ops/indexing.ts";
import { full, state } from "../engine/graph/ops/leaf.ts";
import { concat, slice, sum } from "../engine/graph/ops/movement.ts";
import { exportOnnx, type ExportedModel, type StateValues } from "../engine/onnx/exportModel.ts";
import { Parameters } from "../nn/parameters.ts";
import type { CtrModel } from "./models/ctrModel.ts";
import { PREDICTION } from "./models/denseModel.ts";
import { featuresOf, rowFloats } from "./models/features.ts";

/** Floats of one piece of a table. */
const PIECE_FLOATS = 2 ** 20;

/** The rows of an embedding table, wherever they are. */
interface TableSource {
  rows: number;
  /** `[count, D]` from row `first` on. */
  read(first: number, count: number): Promise<TypedArray> | TypedArray;
}

/** What is exported. */
export interface ClickExport {
  model: CtrModel;
  schema: ClickSchema;
  /** The values of a dense parameter, e.g. `bottom.0.weight`. */
  parameter(name: string): Promise<TypedArray> | TypedArray;
  /** The rows of table t. */
  table(t: number): TableSource;
  /** Path of the `.onnx` file; one that exists is replaced. */
  file: string;
  /** Bytes of weights up to which the model is one file, beyond which `FILE.onnx.data` lies beside it. */
  inlineBytes?: number;
  onProgress?: (done: number, total: number, unit: "bytes") => void;
}

/**
 * Exports a CTR model.
 * @throws ParetoError EXPORT_SCHEMA when model, schema and tables do not belong together, and those of `exportOnnx`
 */
export async function exportCtrModel(click: ClickExport): Promise<ExportedModel> {
  const { model, schema, file, inlineBytes, onProgress } = click;
  requireMatch(click);
  const parameters = new Parameters(0);
  const isBagged = schema.categorical.some((field) => field.multiHot);
  const traceModel = (batch: number) => traceInference(model, schema, parameters, batch);
  // Traced once ahead, so that the names of the parameters are known.
  traceModel(2);
  const values = new Map<string, StateValues>();
  for (const name of parameters.names) {
    values.set(name, async function* () {
      yield await click.parameter(name);
    });
  }
  schema.categorical.forEach((_, t) =>
    values.set(tableName(t), () => tableRows(click.table(t), rowFloats(model.inputs), isBagged)),
  );
  return exportOnnx(traceModel, values, file, {
    freeAxis: "batch",
    ...(isBagged && { freeAxes: { ids: { 2: "bag" } } }),
    metadata: {
      "pareto.version": paretoVersion(),
      "pareto.model": model.name,
      "pareto.inputs": JSON.stringify(describeInputs(schema)),
    },
    ...(inlineBytes !== undefined && { inlineBytes }),
    ...(onProgress && { onProgress }),
  });
}

const tableName = (t: number) => `embedding.${t}.weight`;

/**
 * The graph of inference.
 * @param batch the batch size that it is traced at; bags, if any, are traced one longer
 */
function traceInference(model: CtrModel, schema: ClickSchema, parameters: Parameters, batch: number): Graph {
  const { dense: m, fields } = model.inputs;
  const [tables, dim] = [fields.length, rowFloats(model.inputs)];
  const isBagged = schema.categorical.some((field) => field.multiHot);
  const inputs: Record<string, TensorSpec> = {};
  if (m > 0) inputs["dense"] = { shape: [batch, m], dtype: "float32" };
  if (tables > 0)
    inputs["ids"] = { shape: isBagged ? [batch, tables, batch + 1] : [batch, tables], dtype: "int32" };
  return trace(inputs, ({ dense, ids }) => {
    const rows =
      ids &&
      concat(
        schema.categorical.map(({ cardinality }, t) => pooledRows(ids, t, cardinality, dim)),
        1,
      );
    const features = featuresOf(model.inputs, dense ?? full([batch, 0], 0), rows ?? full([batch, 0, dim], 0));
    const logits = model.apply(parameters, features, PREDICTION);
    return { outputs: { probability: sigmoid(logits) } };
  });
}

/** The rows that table t adds to a batch `[B, 1, D]`. No step names the length of a batch or of a bag. */
function pooledRows(ids: Tensor, t: number, cardinality: number, dim: number): Tensor {
  const own = slice(ids, { 1: [t, t + 1] });
  if (ids.shape.length === 2) return gather(state(tableName(t), [cardinality, dim]), own);
  // A row of zeros behind the table stands for "none".
  const places = where(less(own, full([], 0, "int32")), full([], cardinality, "int32"), own);
  return sum(gather(state(tableName(t), [cardinality + 1, dim]), places), 2);
}

async function* tableRows(table: TableSource, dim: number, hasZeroRow: boolean): AsyncGenerator<TypedArray> {
  const step = Math.max(1, Math.floor(PIECE_FLOATS / dim));
  for (let first = 0; first < table.rows; first += step) {
    yield await table.read(first, Math.min(step, table.rows - first));
  }
  if (hasZeroRow) yield new Float32Array(dim);
}

/** What a server has to know to feed the model. */
function describeInputs({ dense, categorical }: ClickSchema) {
  const isBagged = categorical.some((field) => field.multiHot);
  return {
    ...(dense.length > 0 && { dense: { dtype: "float32", axes: ["batch", "column"], columns: dense } }),
    ...(categorical.length > 0 && {
      ids: {
        dtype: "int32",
        axes: ["batch", "column", ...(isBagged ? ["bag"] : [])],
        ...(isBagged && { none: -1 }),
        columns: categorical,
      },
    }),
  };
}

function requireMatch({ model, schema, table }: ClickExport): void {
  const { dense, fields } = model.inputs;
  const tables = fields.length;
  if (dense !== schema.dense.length || tables !== schema.categorical.length) {
    throw mismatch(
      `the model has ${dense} dense columns and ${tables} tables, got a schema of ${schema.dense.length} and ${schema.categorical.length}`,
    );
  }
  schema.categorical.forEach(({ name, cardinality }, t) => {
    const { rows } = table(t);
    if (rows !== cardinality)
      throw mismatch(`column "${name}" needs a table of ${cardinality} rows, got ${rows}`);
  });
}

function mismatch(message: string): ParetoError {
  return new ParetoError({
    code: "EXPORT_SCHEMA",
    where: "exportCtrModel",
    message,
    fix: "Give the schema and the weights of one and the same run.",
  });
}
