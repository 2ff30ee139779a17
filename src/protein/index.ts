/**
 * @file `pareto/protein`: families of proteins. `trainProtein` does the whole job from FASTA files to a saved model,
 * `classifyFasta` names families of a stream of records; the parts are here too.
 */
export { cleanSequence, encodeResidues } from "./alphabet.ts";
export { classifyFasta } from "./classify/classifyFasta.ts";
export type { Candidate, Classification, ClassifyOptions } from "./classify/classifyFasta.ts";
export type { SequenceSet } from "./sequenceSet.ts";
export { evaluateProteinModel } from "./evaluateModel.ts";
export type { EvaluateProteinOptions, ProteinEvaluation, UnknownShare } from "./evaluateModel.ts";
export { exportProteinModel } from "./exportModel.ts";
export { readFamilies } from "./families/families.ts";
export type { FamilyOptions, FamilyReport } from "./families/families.ts";
export { readFasta } from "./fasta/fasta.ts";
export type { BadRecord, FastaRecord } from "./fasta/fasta.ts";
export { proteinModel } from "./models/models.ts";
export type { ProteinModelName } from "./models/models.ts";
export type { ProteinModel } from "./models/proteinModel.ts";
export { DEFAULT_MODEL_PATH, loadProteinNetwork, openProteinModel, saveProteinModel } from "./savedModel.ts";
export type { ProteinModelConfig, ProteinModelFolder } from "./savedModel.ts";
export { split } from "./splits/split.ts";
export type { SequenceSplit, SplitName } from "./splits/split.ts";
export type { ProteinConfig } from "./training/proteinConfig.ts";
export { ProteinNetwork } from "./network/proteinNetwork.ts";
export { DEFAULT_SETTINGS } from "./training/settings.ts";
export type { ProteinSettings } from "./training/settings.ts";
export { trainProtein } from "./training/trainProtein.ts";
export type { TrainProteinResult } from "./training/proteinResult.ts";
export type { TrainProteinOptions } from "./training/trainProtein.ts";
