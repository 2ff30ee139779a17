/** @file Embedding tables where a device wants them: in its memory, or on the host with memory that it can copy from. */
import type { Device } from "../../engine/program.ts";
import type { CudaDevice } from "../../engine/targets/cuda/index.ts";
import { EmbeddingTables } from "./embeddingTables.ts";
import type { EmbeddingTableStore } from "./embeddingStore.ts";
import type { SparseOptimizer } from "./sparseOptimizer.ts";

/** The tables to make. */
export interface TablesRequest {
  /** Rows of each table. */
  cardinalities: readonly number[];
  dim: number;
  optimizer: SparseOptimizer;
  seed: number;
  /** Kernel threads of tables on the host. */
  threads: number;
  stagingBuffers: number;
  /** Inputs of the dense model's batches, and most lookups of one. */
  maxBatch: number;
  maxLookups: number;
  initial: "uniform" | "zeros";
}

/**
 * Makes tables.
 * @param placement `device`: in the device's memory; `hybrid`: on the host; `auto`: in the device's memory if it has one
 * of its own and they fit
 * @throws ParetoError `ROWS_OPTIONS`, `CUDA_OUT_OF_MEMORY`, `ARENA_OUT_OF_MEMORY`
 */
export async function createTables(
  device: Device,
  request: TablesRequest,
  placement: "auto" | "device" | "hybrid",
): Promise<EmbeddingTableStore> {
  if (device.target === "cuda" && placement !== "hybrid" && request.cardinalities.length > 0) {
    const cuda = device as CudaDevice;
    const { DeviceTables, fitsDevice } = await import("./cuda/deviceTables.ts");
    if (placement === "device" || fitsDevice(cuda, request)) {
      return DeviceTables.create({ ...request, device: cuda });
    }
  }
  const tables = await EmbeddingTables.create(request);
  for (const array of tables.stagingArrays()) device.pin?.(array);
  return tables;
}
