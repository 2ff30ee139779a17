/** @file The whole job: from FASTA files to a trained, tested model in a run folder. */
import { runTraining, type TrainingRequest } from "../../run/runTraining.ts";
import type { TrainingTask } from "../../run/task.ts";
import type { FamilyReport } from "../families/families.ts";
import { proteinModel } from "../models/models.ts";
import type { SequenceSplit } from "../splits/split.ts";
import { thresholdPolicies } from "../threshold/thresholdPolicy.ts";
import { proteinConfig, type ProteinConfig, type RequestedConfig } from "./proteinConfig.ts";
import { ProteinNetwork } from "../network/proteinNetwork.ts";
import type { TrainProteinResult } from "./proteinResult.ts";
import { ProteinTrainable } from "./proteinTrainable.ts";
import { fingerprintOf, readProteinData } from "./readProteinData.ts";
import { openReplicas } from "../network/replicas.ts";
import { batchSizeFor, DEFAULT_SETTINGS } from "./settings.ts";

/** Receives what was read, before training begins. */
export type OnRead = (report: FamilyReport, split: SequenceSplit) => void;

/** A training job. */
export type TrainProteinOptions = TrainingRequest<ProteinConfig, RequestedConfig> & { onRead?: OnRead };

/**
 * Trains a protein network and tests it.
 * @throws ParetoError what `runTraining` throws, `PROTEIN_EMPTY_PART`, `POLICY_TEXT`, `POLICY_UNKNOWN`, `POLICY_OPTION`, and what reading families and opening the device
 *   throw
 */
export async function trainProtein(options: TrainProteinOptions): Promise<TrainProteinResult> {
  return runTraining(proteinTask(options.onRead), options);
}

function proteinTask(onRead?: OnRead): TrainingTask<ProteinConfig, RequestedConfig, TrainProteinResult> {
  return {
    command: "protein train",
    schema: proteinConfig,
    async prepare({ data, settings: requested }, context) {
      const { threshold = DEFAULT_SETTINGS.threshold } = requested;
      // Before any work, so that none is done in vain.
      thresholdPolicies.parse(threshold, "--threshold");
      const { set, report, parts } = await readProteinData(data, context.onEvent);
      onRead?.(report, parts);
      const { batchSize = batchSizeFor(parts.train.length) } = requested;
      const { monitor = "macroF1" } = requested;
      const settings = { ...requested, batchSize, threshold, monitor };
      const config = { data, settings };
      return {
        config,
        seed: settings.seed,
        fingerprint: fingerprintOf(set).toString(16),
        async open(context, folder) {
          const { device, threads, precision, seed, model, decoys } = settings;
          const replicas = await openReplicas(device, { threads, precision, batchSize, purpose: "training" });
          const network = await ProteinNetwork.create(replicas, proteinModel(model, set.families.length), {
            seed,
            hasDecoys: decoys > 0,
            isTraining: true,
          });
          return new ProteinTrainable({ config, network, set, parts, context, folder });
        },
      };
    },
  };
}
