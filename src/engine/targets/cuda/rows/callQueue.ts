/** @file Row kernels launched at once on a device: compiled ahead, then queued by their calls. */
import type { CudaDevice } from "../cudaDevice.ts";
import { packArguments, type Kernel } from "../driver/module.ts";
import type { Stream } from "../driver/stream.ts";
import type { KernelSource } from "../plan.ts";
import type { KernelCall } from "./kernelCall.ts";

/** Compiled kernels. */
export class CallQueue {
  readonly #kernels: ReadonlyMap<KernelSource, Kernel>;

  private constructor(kernels: ReadonlyMap<KernelSource, Kernel>) {
    this.#kernels = kernels;
  }

  /** Compiles kernels. @throws ParetoError `CUDA_COMPILE` */
  static async compile(device: CudaDevice, sources: readonly KernelSource[]): Promise<CallQueue> {
    const kernels = await device.kernels(sources);
    return new CallQueue(new Map(sources.map((source, i) => [source, kernels[i]!])));
  }

  /** Queues calls whose places are addresses. */
  launch(stream: Stream, calls: readonly KernelCall<number>[]): void {
    for (const { source, grid, block, arguments: list } of calls) {
      const values = list.map((argument) =>
        argument.kind === "buffer" ? { kind: "pointer" as const, value: argument.place } : argument,
      );
      stream.launch(this.#kernels.get(source)!, grid, block, 0, packArguments(values));
    }
  }
}
