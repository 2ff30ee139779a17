/**
 * @file Training steps of ProFamNet through the batches and the network that training uses, from host memory to updated
 * weights, beside PyTorch on the same device, in turn.
 *
 * All sequences are of full length, so that both do the same work: PyTorch's script pads nothing and skips nothing. A
 * second rate is of lengths as in HF73, where batches of like length save work; PyTorch is not measured on it.
 */
import type { SequenceSet } from "../../src/protein/sequenceSet.ts";
import { proteinModel } from "../../src/protein/models/models.ts";
import {
  bucketedBatches,
  bucketLengths,
  type BucketBatch,
} from "../../src/protein/network/bucketedBatches.ts";
import { ProteinNetwork } from "../../src/protein/network/proteinNetwork.ts";
import { openReplicas } from "../../src/protein/network/replicas.ts";
import { torchProteinRate } from "../harness/torch.ts";
import { naturalLength, randomSet } from "./randomSequences.ts";
import type { ProteinSizes, TrainingSize } from "./sizes.ts";
import type { BenchRow } from "../harness/rows.ts";

/** What a case measured. */
export interface ProteinTrainingResult {
  bench: "protein training";
  device: "cpu" | "cuda";
  threads: number;
  batchSize: number;
  length: number;
  parameters: number;
  stepMilliseconds: number;
  /** Every sequence of full length. */
  sequencesPerSecond: number;
  /** Lengths as in HF73. */
  naturalSequencesPerSecond: number;
  torch: { sequencesPerSecond: number; ratio: number } | null;
  target: number;
}

const LEARNING_RATE = 1e-3;
/** As in training: steps asked for before the first has come back. */
const IN_FLIGHT = 2;
/** Batches in memory, used over and over. */
const BATCHES = 16;
/** Stretches of full length; the best counts, as PyTorch's better one does. */
const STRETCHES = 3;

/** Measures a case. Takes 15 s on a CPU, as long on a GPU, and PyTorch's time when it is there. */
export async function measureTraining(
  device: "cpu" | "cuda",
  threads: number,
  size: TrainingSize,
  { families, length }: ProteinSizes,
): Promise<ProteinTrainingResult> {
  const { batchSize, steps, target } = size;
  const torchBefore = await torchProteinRate(device, batchSize, length, steps);
  const lengths = bucketLengths(length);
  const full = randomSet(batchSize * BATCHES, families, () => length, 1);
  // Whole batches only, and every padded length among them.
  const natural = randomSet(batchSize * BATCHES, families, (rng) => Math.min(length, naturalLength(rng)), 2);
  const network = await ProteinNetwork.create(
    await openReplicas(device, { threads, batchSize }),
    proteinModel("profamnet", families),
    { seed: 1, isTraining: true },
  );
  let fullSeconds = Infinity;
  let naturalSeconds = 0;
  try {
    // Programs are compiled at their first step.
    await trainSteps(network, batchesOf(full, batchSize, lengths), 3);
    for (let i = 0; i < STRETCHES; i++) {
      fullSeconds = Math.min(
        fullSeconds,
        await trainSteps(network, batchesOf(full, batchSize, lengths), steps),
      );
    }
    await trainSteps(network, batchesOf(natural, batchSize, lengths), BATCHES);
    naturalSeconds = await trainSteps(network, batchesOf(natural, batchSize, lengths), steps);
  } finally {
    await network.dispose();
  }
  // On a CPU that others use too, before and after, the better of both, so that their work is not counted against it.
  const torch =
    torchBefore === null || device === "cuda"
      ? torchBefore
      : Math.max(torchBefore, (await torchProteinRate(device, batchSize, length, steps))!);
  const sequencesPerSecond = (steps * batchSize) / fullSeconds;
  return {
    bench: "protein training",
    device,
    threads,
    batchSize,
    length,
    parameters: network.size,
    stepMilliseconds: (1000 * fullSeconds) / steps,
    sequencesPerSecond,
    naturalSequencesPerSecond: (steps * batchSize) / naturalSeconds,
    torch: torch === null ? null : { sequencesPerSecond: torch, ratio: sequencesPerSecond / torch },
    target,
  };
}

/** Batches without end, made as they are taken. */
function* batchesOf(
  set: SequenceSet,
  batchSize: number,
  lengths: readonly number[],
): Generator<BucketBatch, never> {
  const rows = Uint32Array.from({ length: set.count }, (_, row) => row);
  for (let epoch = 0; ; epoch++) {
    yield* bucketedBatches(set, rows, { batchSize, lengths, shuffle: { seed: 1, epoch } });
  }
}

/** @returns seconds */
async function trainSteps(
  network: ProteinNetwork,
  batches: Generator<BucketBatch, never>,
  steps: number,
): Promise<number> {
  const flights: ReturnType<ProteinNetwork["train"]>[] = [];
  const start = performance.now();
  for (let step = 1; step <= steps; step++) {
    flights.push(network.train(batches.next().value, LEARNING_RATE, step));
    if (flights.length >= IN_FLIGHT) await flights.shift();
  }
  await Promise.all(flights);
  return (performance.now() - start) / 1000;
}

const count = (value: number) => Math.round(value).toLocaleString("en-US");

/** The lines of the table. */
export function trainingRows(result: ProteinTrainingResult): BenchRow[] {
  const { device, batchSize, length, stepMilliseconds, sequencesPerSecond, torch, target } = result;
  const natural = result.naturalSequencesPerSecond;
  return [
    {
      case: `training, ${device}`,
      size: `${count(result.parameters)} parameters, batch ${batchSize}, all of length ${length}`,
      milliseconds: stepMilliseconds,
      figure: `${count(sequencesPerSecond)} sequences/s`,
      limit: torch === null ? "no PyTorch given" : `${count(torch.sequencesPerSecond)} sequences/s, PyTorch`,
      ratio: torch?.ratio ?? null,
      target: `≥ ${target.toFixed(2)}`,
      met: torch === null ? null : torch.ratio >= target,
    },
    {
      case: `lengths as in HF73, ${device}`,
      size: `batch ${batchSize} of like length, at most ${length}`,
      milliseconds: (1000 * batchSize) / natural,
      figure: `${count(natural)} sequences/s`,
      limit: `${count(sequencesPerSecond)} sequences/s, all of length ${length}`,
      ratio: natural / sequencesPerSecond,
      target: "",
      met: null,
    },
  ];
}
