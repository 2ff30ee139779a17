/**
 * @file Where a protein network runs: one GPU; or, on a CPU, several devices of one thread or few, each with the whole
 * network, that share the rows of a batch. Small products and loops gain little from threads that must meet after each
 * of them; parts of a batch need to meet once a step.
 */
import { openDevice } from "../../engine/openDevice.ts";
import type { Device, Precision } from "../../engine/program.ts";

/** Rows of a batch that one CPU device takes at a time: their tensors stay in its caches. */
const PART_ROWS = 32;

/** How a network is spread. */
export interface Replicas {
  /** Each holds all parameters. */
  devices: Device[];
  /** Rows that a device takes at a time. */
  partRows: number;
}

/** Rows of each part of a batch on a CPU; depends on nothing else, so that threads change no result. */
export function partRows(batchSize: number): number {
  return Math.ceil(batchSize / Math.ceil(batchSize / PART_ROWS));
}

/**
 * Opens the devices.
 * @param batchSize rows of a batch; on a GPU they stay together
 */
export async function openReplicas(
  name: "cpu" | "cuda",
  {
    threads,
    precision = "float32",
    batchSize,
  }: { threads: number; precision?: Precision; batchSize: number },
): Promise<Replicas> {
  if (name === "cuda") return { devices: [await openDevice(name, { precision })], partRows: batchSize };
  const rows = partRows(batchSize);
  const count = Math.min(threads, Math.ceil(batchSize / rows));
  const each = Math.max(1, Math.floor(threads / count));
  const devices = await Promise.all(Array.from({ length: count }, () => openDevice(name, { threads: each })));
  return { devices, partRows: rows };
}
