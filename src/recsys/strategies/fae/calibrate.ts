/**
 * @file FAE's calibration, from a training part to its hot set: sample the inputs, log their accesses, choose
 * the rows. It reads the data once and never writes.
 */
import type { OnEvent } from "../../../run/events.ts";
import { AccessLog } from "./accessLog.ts";
import type { ClickSource } from "./clickSource.ts";
import { hotPolicies } from "./hotPolicies.ts";
import type { HotPolicy } from "./hotPolicy.ts";
import type { HotSet } from "./hotSet.ts";
import { inputProgress } from "./progress.ts";
import type { RowSpace } from "./rowSpace.ts";
import { sampleInputs, sampleSize } from "./sampler.ts";
import type { SampledBatch } from "./sampler.ts";

/** Everything that decides a calibration, as plain data: two equal configs over equal data give equal hot sets. */
export interface FaeConfig {
  /** The policy that chooses hot rows, as text: `threshold`, `threshold:share=1e-4`, `topk`. */
  hot: string;
  /** Memory for hot rows and their optimizer state, bytes (L). */
  budgetBytes: number;
  /** Bytes of a row with its optimizer state. */
  rowBytes: number;
  /** Share of the training inputs to sample. */
  sampleRate: number;
  seed: number;
}

/** A hot set and what it rests on. */
export interface Calibration {
  hotSet: HotSet;
  sampledInputs: number;
  /** Seconds of each stage. */
  seconds: { sample: number; select: number };
}

/** The policy that a config names. @throws ParetoError `POLICY_TEXT`, `POLICY_UNKNOWN`, `POLICY_OPTION` */
export function hotPolicy({ hot, seed }: Pick<FaeConfig, "hot" | "seed">): HotPolicy {
  return hotPolicies.parse(hot, "--hot").create({ seed });
}

/**
 * Logs the accesses of a sample of the inputs.
 * @param onSample also receives each batch of the sample
 * @throws ParetoError `FAE_SAMPLE_RATE`, `FAE_ROW_RANGE`
 */
export async function logSample(
  source: ClickSource,
  space: RowSpace,
  config: Pick<FaeConfig, "sampleRate" | "seed">,
  onEvent?: OnEvent,
  onSample?: (sample: SampledBatch) => void,
): Promise<AccessLog> {
  const log = new AccessLog(space);
  const progress = inputProgress("profile", sampleSize(source.rows, config.sampleRate), onEvent);
  for await (const sample of sampleInputs(source, { sampleRate: config.sampleRate, seed: config.seed })) {
    log.add(sample.batch.lookups, sample.selection);
    onSample?.(sample);
    progress(log.inputs);
  }
  return log;
}

/**
 * Chooses the hot rows of a training part.
 * @throws ParetoError `FAE_SAMPLE_RATE`, `FAE_THRESHOLD`, `FAE_BUDGET`, `FAE_ROW_RANGE`, and those of {@link hotPolicy}
 */
export async function calibrate(
  source: ClickSource,
  space: RowSpace,
  config: FaeConfig,
  onEvent?: OnEvent,
): Promise<Calibration> {
  const policy = hotPolicy(config);
  const start = performance.now();
  const log = await logSample(source, space, config, onEvent);
  const sampled = performance.now();
  const { hotSet, events } = policy.select(log, config);
  if (onEvent) events.forEach(onEvent);
  const selected = performance.now();
  return {
    hotSet,
    sampledInputs: log.inputs,
    seconds: { sample: (sampled - start) / 1000, select: (selected - sampled) / 1000 },
  };
}
