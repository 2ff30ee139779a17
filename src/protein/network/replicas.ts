/**
 * @file Where a protein network runs: one GPU; or, on a CPU, several devices of one thread or few, each with the whole
 * network, that share the rows of a batch. Small products and loops gain little from threads that must meet after each
 * of them; parts of a batch need to meet once a step.
 */
import { openDevice } from "../../engine/openDevice.ts";
import type { Device, Precision } from "../../engine/program.ts";

/** Rows of a batch that one CPU device takes at a time: their tensors stay in its caches. */
const PART_ROWS = { training: 32, prediction: 16 };

/** How a network is spread. */
export interface Replicas {
  /** Each holds all parameters. */
  devices: Device[];
  /** Rows that a device takes at a time. */
  partRows: number;
}

/** What a network is for: training keeps memory for the next step, prediction gives it back. */
export type Purpose = keyof typeof PART_ROWS;

/** Rows of each part of a batch on a CPU; depends on no number of threads, so that they change no result. */
export function partRows(batchSize: number, purpose: Purpose): number {
  return Math.ceil(batchSize / Math.ceil(batchSize / PART_ROWS[purpose]));
}

/** How to open devices. */
export interface ReplicaOptions {
  threads: number;
  /** Rows of a batch; on a GPU they stay together. */
  batchSize: number;
  /** Defaults to training. */
  purpose?: Purpose;
  precision?: Precision;
}

/** Opens the devices. */
export async function openReplicas(
  name: "cpu" | "cuda",
  { threads, batchSize, purpose = "training", precision = "float32" }: ReplicaOptions,
): Promise<Replicas> {
  if (name === "cuda") return { devices: [await openDevice(name, { precision })], partRows: batchSize };
  const rows = partRows(batchSize, purpose);
  const count = Math.min(threads, Math.ceil(batchSize / rows));
  const options = {
    threads: Math.max(1, Math.floor(threads / count)),
    returnsMemory: purpose === "prediction",
  };
  const devices = await Promise.all(Array.from({ length: count }, () => openDevice(name, options)));
  return { devices, partRows: rows };
}
