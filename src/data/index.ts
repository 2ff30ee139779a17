/**
 * @file `pareto/data`: from click logs to mini-batches, and from probabilities back to files.
 *
 * `openSource` → `prepareDataset` → `EncodedDataset.batches`; `Encoder.encode` for new sources; `writePredictions`.
 */
export type { CategoricalField, ClickBatch, ClickSchema, DenseField, Lookups } from "./batch.ts";
export { openSource } from "./source.ts";
export type { Source, SourceColumn, SourceOptions } from "./source.ts";
export type { SourceFormat } from "./sourceFiles.ts";
export { inferSchema } from "./inferSchema.ts";
export type { ColumnDescription, ColumnRole, InferredRoles, RoleOptions } from "./inferSchema.ts";
export type { SplitOptions } from "./split.ts";
export { prepareDataset } from "./prepareDataset.ts";
export type { PrepareOptions, PreparedDataset } from "./prepareDataset.ts";
export type { Progress } from "./encode.ts";
export { Encoder } from "./encoder.ts";
export { EncodedDataset } from "./encodedDataset.ts";
export type { BatchOptions } from "./encodedDataset.ts";
export type { EncodedLayout } from "./encodedLayout.ts";
export { EncodedDatasetWriter } from "./encodedDatasetWriter.ts";
export type { WriterOptions } from "./encodedDatasetWriter.ts";
export { writePredictions } from "./predictions.ts";
