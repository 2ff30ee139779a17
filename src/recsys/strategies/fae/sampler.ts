/**
 * @file The input sampler of FAE: a uniform sample of the training inputs, without replacement, in one pass.
 *
 * Selection sampling (Knuth, TAOCP 3.4.2, algorithm S): input i is taken with probability
 * (still wanted) / (still to come), which gives exactly the wanted count and constant memory. The authors'
 * profiler draws with replacement; we do not, so no input counts twice.
 */
import type { ClickBatch } from "../../data/batches/clickBatch.ts";
import { ParetoError } from "../../../base/errors.ts";
import { Rng } from "../../../base/rng.ts";
import type { ClickSource } from "./clickSource.ts";

/** Inputs sampled at least, so that small data sets are profiled well. */
const MIN_SAMPLE = 20_000;
/** Philox stream of this sampler: other users of the seed draw from others. */
const STREAM = 0x0fae01;

/**
 * Inputs to sample: `max(round(sampleRate · rows), minimum)`, no more than there are.
 * @param sampleRate share of the inputs in (0, 1]
 * @throws ParetoError `FAE_SAMPLE_RATE` for a rate outside (0, 1]
 */
export function sampleSize(rows: number, sampleRate: number, minimum = MIN_SAMPLE): number {
  if (!(sampleRate > 0 && sampleRate <= 1)) {
    throw new ParetoError({
      code: "FAE_SAMPLE_RATE",
      where: "sample rate",
      message: `the share of inputs to sample must be above 0 and at most 1, got ${sampleRate}`,
      fix: "Use a share such as 0.05 for 5 %.",
    });
  }
  return Math.min(rows, Math.max(Math.round(sampleRate * rows), minimum));
}

/** Chooses `wanted` of `total` items that are offered one by one. */
export class SelectionSampler {
  readonly #rng: Rng;
  #wanted: number;
  #left: number;

  constructor(wanted: number, total: number, rng: Rng) {
    this.#wanted = wanted;
    this.#left = total;
    this.#rng = rng;
  }

  /** Whether to take the next item. */
  take(): boolean {
    if (this.#wanted === 0 || this.#left === 0) return false;
    const taken = this.#rng.integer(this.#left) < this.#wanted;
    this.#left--;
    if (taken) this.#wanted--;
    return taken;
  }
}

/** How to sample. */
export interface SampleOptions {
  /** Share of the inputs. Defaults to 0.05. */
  sampleRate?: number;
  /** Least number of inputs. Defaults to 20 000. */
  minimum?: number;
  seed: number;
  /** Inputs read at a time. Defaults to 4096. */
  batchSize?: number;
}

/** Sampled inputs of one batch: their positions in it, rising. */
export interface SampledBatch {
  batch: ClickBatch;
  selection: Uint32Array;
}

/**
 * Streams the sample, batch by batch; batches with none of it are passed over.
 * @throws ParetoError `FAE_SAMPLE_RATE` for a rate outside (0, 1]
 */
export async function* sampleInputs(
  source: ClickSource,
  options: SampleOptions,
): AsyncGenerator<SampledBatch, void, undefined> {
  const size = sampleSize(source.rows, options.sampleRate ?? 0.05, options.minimum);
  const sampler = new SelectionSampler(size, source.rows, new Rng(options.seed, STREAM));
  for await (const batch of source.batches({ batchSize: options.batchSize ?? 4096, recycle: 2 })) {
    const selection = new Uint32Array(batch.size);
    let count = 0;
    for (let b = 0; b < batch.size; b++) if (sampler.take()) selection[count++] = b;
    if (count > 0) yield { batch, selection: selection.subarray(0, count) };
  }
}
