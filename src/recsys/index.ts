/**
 * @file `pareto/recsys`: CTR models. `trainClicks` does the whole job from a log to a run folder; the parts are
 * here too: reading and encoding logs (`openSource` → `prepareDataset` → `EncodedDataset.batches`; `Encoder.encode` for
 * new sources; `writePredictions`), models, embedding stores, strategies, the trainer, profiles and export.
 */
export type {
  CategoricalField,
  ClickBatch,
  ClickSchema,
  DenseField,
  Lookups,
} from "./data/batches/clickBatch.ts";
export type { CsvOptions } from "./data/source/csvOptions.ts";
export { openSource } from "./data/source/source.ts";
export type { Source, SourceColumn, SourceOptions } from "./data/source/source.ts";
export type { SourceFormat } from "./data/source/sourceFiles.ts";
export { inferSchema } from "./data/schema/inferSchema.ts";
export type { ColumnDescription, ColumnRole, InferredRoles, RoleOptions } from "./data/schema/inferSchema.ts";
export type { SplitOptions } from "./data/encode/split.ts";
export { prepareDataset } from "./data/encode/prepareDataset.ts";
export type { PrepareOptions, PreparedDataset } from "./data/encode/prepareDataset.ts";
export type { Progress } from "./data/encode/encode.ts";
export { Encoder } from "./data/encode/encoder.ts";
export { EncodedDataset } from "./data/encode/encodedDataset.ts";
export type { BatchOptions } from "./data/encode/encodedDataset.ts";
export type { EncodedLayout } from "./data/encode/encodedLayout.ts";
export { EncodedDatasetWriter } from "./data/encode/encodedDatasetWriter.ts";
export type { WriterOptions } from "./data/encode/encodedDatasetWriter.ts";
export { writePredictions } from "./data/encode/predictions.ts";
export { compareClicks } from "./compare/compareClicks.ts";
export type { CompareRequest } from "./compare/compareClicks.ts";
export type { RequestedComparison } from "./compare/comparisonConfig.ts";
export type { ComparisonResult } from "./compare/comparisonResult.ts";
export { createTables } from "./embedding/createTables.ts";
export type { TablesRequest } from "./embedding/createTables.ts";
export { EmbeddingTables } from "./embedding/embeddingTables.ts";
export type { EmbeddingTablesOptions } from "./embedding/embeddingTables.ts";
export { HotEmbeddings } from "./embedding/hotEmbeddings.ts";
export type { HotEmbeddingsOptions } from "./embedding/hotEmbeddings.ts";
export type { HotEmbeddingStore, SyncReport } from "./embedding/hotEmbeddingStore.ts";
export { TieredEmbeddings } from "./embedding/tiered/tieredEmbeddings.ts";
export type {
  PopularChange,
  TieredEmbeddingsOptions,
  TierTraffic,
} from "./embedding/tiered/tieredEmbeddings.ts";
export type { EmbeddingStore, EmbeddingTableStore } from "./embedding/embeddingStore.ts";
export type { SparseOptimizer } from "./embedding/sparseOptimizer.ts";
export { exportCtrModel } from "./export.ts";
export type { CtrInputs, CtrModel } from "./models/ctrModel.ts";
export type {
  CtrFeatures,
  CtrMode,
  CtrModelDefinition,
  FieldRequest,
  SequenceFeatures,
  TrainStatistics,
} from "./models/ctrModel.ts";
export { CTR_MODELS, createModel } from "./models/registry.ts";
export { DenseModel } from "./models/denseModel.ts";
export { dlrm } from "./models/dlrm.ts";
export type { DlrmConfig } from "./models/dlrm.ts";
export { profileDataset } from "./profile/profile.ts";
export type { DatasetProfile, ProfileRequest } from "./profile/profile.ts";
export { BaselineStrategy } from "./strategies/baseline.ts";
export { wholeBatches } from "./strategies/batchPlan.ts";
export type { BatchPlan, PlanPart } from "./strategies/batchPlan.ts";
export { parseStrategy, strategyPolicies } from "./strategies/registry.ts";
export { calibrate } from "./strategies/fae/calibrate.ts";
export type { Calibration, FaeConfig } from "./strategies/fae/calibrate.ts";
export { prepareFaeFile } from "./strategies/fae/faeFile.ts";
export type { FaeFile, FaeRequest } from "./strategies/fae/faeFile.ts";
export { FaeStrategy } from "./strategies/fae/faeStrategy.ts";
export type { FaeStrategyOptions } from "./strategies/fae/faeStrategy.ts";
export { hotPolicies } from "./strategies/fae/hotPolicies.ts";
export { shuffleRatePolicies } from "./strategies/fae/shuffleRate.ts";
export type { ShuffleRatePolicy } from "./strategies/fae/shuffleRate.ts";
export { ShuffleScheduler } from "./strategies/fae/scheduler.ts";
export type { SchedulerOptions, SchedulerState } from "./strategies/fae/scheduler.ts";
export type {
  BatchOrder,
  StrategyContext,
  StrategySetup,
  TrainingSegment,
  TrainingStrategy,
} from "./strategies/strategy.ts";
export { ClickNetwork } from "./training/clickNetwork.ts";
export { evaluate, predictLogits } from "./training/evaluate.ts";
export type { ClickConfig } from "./training/clickConfig.ts";
export type { TrainClicksResult } from "./training/clickResult.ts";
export type { OptimizerName, TrainingSettings } from "./training/settings.ts";
export { StepPipeline } from "./training/stepPipeline.ts";
export { prepareClicks } from "./training/prepareClicks.ts";
export { trainClicks } from "./training/trainClicks.ts";
export type { TrainClicksOptions } from "./training/trainClicks.ts";
export { loadNetwork, openTrainedModel } from "./training/trainedModel.ts";
export type { TrainedModel } from "./training/trainedModel.ts";
