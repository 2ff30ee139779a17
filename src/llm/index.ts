/**
 * @file `pareto/llm`: language models whose KV cache evicts. A `KvPolicy` decides what each layer's cache keeps;
 * `kvPolicy` makes one from text such as `keyformer:budget=50%`, and users may write their own.
 *
 * `openModel` → `openRunner` → `new LlmEngine(runner)` → `engine.generate(request)`, any number at once.
 */
export { Conversation } from "./engine/conversation.ts";
export { LlmEngine } from "./engine/llmEngine.ts";
export type { EngineOptions, EngineStats } from "./engine/llmEngine.ts";
export type {
  CacheRequest,
  ConversationRequest,
  EndEvent,
  FinishReason,
  GenerateRequest,
  NewTokenEvent,
  TokenEvent,
  TokenRequest,
} from "./engine/request.ts";
export { estimate } from "./estimate.ts";
export type { CacheEstimate, Estimate, EstimateOptions } from "./estimate.ts";
export { fullVariant, variantsOf } from "./eval/variants.ts";
export type { Variant } from "./eval/variants.ts";
export type { Interval } from "./eval/bootstrap.ts";
export { evaluate } from "./eval/evaluate.ts";
export type { Evaluated, EvaluateOptions, VariantResult } from "./eval/evaluate.ts";
export { textItems } from "./eval/textItems.ts";
export type { TextPieces, TokenSource } from "./eval/textItems.ts";
export { endOf, runBatch } from "./engine/runBatch.ts";
export type { BatchOptions, BatchResult } from "./engine/runBatch.ts";
export { Sampler } from "./generate/sampler.ts";
export type { SamplerOptions } from "./generate/sampler.ts";
export type { Budget, Recent } from "./kv/budget.ts";
export { kvPolicies, kvPolicy } from "./kv/kvPolicies.ts";
export { KvCache } from "./kv/kvCache.ts";
export type { KvCacheOptions, KvStats } from "./kv/kvCache.ts";
export type { CacheSequence, CacheShape, LayerCache } from "./kv/layerCache.ts";
export { full } from "./kv/policies/full.ts";
export { h2o } from "./kv/policies/h2o.ts";
export type { H2oOptions } from "./kv/policies/h2o.ts";
export { keyformer, keyformerLayers } from "./kv/policies/keyformer.ts";
export type { KeyformerOptions } from "./kv/policies/keyformer.ts";
export { knorm, random } from "./kv/policies/ranked.ts";
export type { RankedOptions } from "./kv/policies/ranked.ts";
export { snapkv } from "./kv/policies/snapkv.ts";
export type { SnapkvOptions } from "./kv/policies/snapkv.ts";
export { streaming } from "./kv/policies/streaming.ts";
export type { StreamingOptions } from "./kv/policies/streaming.ts";
export { tova } from "./kv/policies/tova.ts";
export { window } from "./kv/policies/window.ts";
export type {
  AttentionScoring,
  EvictionRule,
  GroupReduce,
  HeadView,
  KvDecision,
  KvPolicy,
  KvPolicyContext,
  LayerPolicies,
  NoiseKind,
  Scoring,
} from "./kv/policy.ts";
export type { LogitRow } from "./kv/scoreRows.ts";
export type { LayerSnapshot } from "./kv/snapshot.ts";
export type { Temperature, TemperatureLine } from "./kv/temperature.ts";
export { readModelShape } from "./load/modelConfig.ts";
export type { ModelShape } from "./load/modelConfig.ts";
export { openModel } from "./load/openModel.ts";
export type { OpenedModel } from "./load/openModel.ts";
export type { GenerationDefaults } from "./load/generationConfig.ts";
export type { ModelFiles } from "./load/weights.ts";
export type { DecoderConfig } from "./models/decoder.ts";
export type { RotaryConfig, RotaryScaling } from "./models/rotary.ts";
export type { LlmDtype } from "./runner/dtype.ts";
export { openRunner } from "./runner/openRunner.ts";
export type { RunnerOptions } from "./runner/openRunner.ts";
export type {
  LlmRunner,
  SequenceMemory,
  SequenceOptions,
  SequenceSnapshot,
  SequenceToken,
  SequenceTokens,
} from "./runner/runner.ts";
export { taskNamed, TASK_NAMES } from "./tasks/tasks.ts";
export type { TaskName } from "./tasks/tasks.ts";
export type { Protocol, Task, TaskItem } from "./tasks/task.ts";
export { parseRecipe, readRecipe } from "./training/recipe.ts";
export type { Recipe } from "./training/recipe.ts";
export { trainLm } from "./training/trainLm.ts";
export type { LmConfig } from "./training/lmConfig.ts";
export type { TrainLmResult } from "./training/lmResult.ts";
export type { TrainLmOptions } from "./training/trainLm.ts";
export type { GroupQuality, Validation } from "./training/validate.ts";
export { shippedModelPath } from "./shippedModels.ts";
export type { ShippedModel } from "./shippedModels.ts";
export { TokenStream } from "./tokenizer/tokenizer.ts";
export type { Tokenizer } from "./tokenizer/tokenizer.ts";
