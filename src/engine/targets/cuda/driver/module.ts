/** @file Compiled kernels in device memory, and the layout of their arguments. */
import type { CudaContext } from "./context.ts";
import { checkDriver, checkFreed } from "./errors.ts";
import { OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";

/** `CUfunction_attribute` of cuda.h. */
const attribute = {
  maxThreads: 0,
  sharedBytes: 1,
  localBytes: 3,
  registers: 4,
  maxDynamicSharedBytes: 8,
} as const;

/** What a kernel was compiled to. */
export interface KernelAttributes {
  /** A thread's registers. */
  readonly registers: number;
  /** A thread's memory for what does not fit in registers. */
  readonly localBytes: number;
  /** A block's static shared memory. */
  readonly sharedBytes: number;
  /** Most threads of a block. */
  readonly maxThreads: number;
}

/** A kernel that can be launched. */
export interface Kernel {
  readonly handle: number;
  readonly attributes: KernelAttributes;
  /** Lets launches ask for so much dynamic shared memory; needed above 48 KiB. @throws ParetoError `CUDA_FAILED` */
  raiseSharedLimit(bytes: number): void;
}

/** One argument of a kernel. `int64` and `pointer` are exact up to 2^53. */
export type PackedArgument =
  | { readonly kind: "pointer" | "int64"; readonly value: number }
  | { readonly kind: "int32" | "float32"; readonly value: number };

/** Loaded machine code. */
export class CudaModule {
  readonly #context: CudaContext;
  readonly #handle: number;
  #disposed = false;

  /** @throws ParetoError `CUDA_VERSION` when the code is for another GPU or a newer driver */
  constructor(context: CudaContext, cubin: Uint8Array) {
    this.#context = context;
    const word = new OutWord();
    checkDriver(context.driver.cuModuleLoadData(word.place, cubin), "cuModuleLoadData", "CudaModule");
    this.#handle = word.value;
    opened("module");
  }

  /** A kernel by the name of its `extern "C"` function. @throws ParetoError `CUDA_FAILED` when there is none */
  kernel(name: string): Kernel {
    const { driver } = this.#context;
    const word = new OutWord();
    checkDriver(
      driver.cuModuleGetFunction(word.place, this.#handle, name),
      "cuModuleGetFunction",
      `kernel ${name}`,
    );
    const handle = word.value;
    const value = new Int32Array(1);
    const read = (which: number): number => {
      checkDriver(driver.cuFuncGetAttribute(value, which, handle), "cuFuncGetAttribute", `kernel ${name}`);
      return value[0]!;
    };
    let sharedLimit = 0;
    return {
      handle,
      attributes: {
        registers: read(attribute.registers),
        localBytes: read(attribute.localBytes),
        sharedBytes: read(attribute.sharedBytes),
        maxThreads: read(attribute.maxThreads),
      },
      raiseSharedLimit(bytes) {
        if (bytes <= sharedLimit) return;
        const status = driver.cuFuncSetAttribute(handle, attribute.maxDynamicSharedBytes, bytes);
        checkDriver(status, "cuFuncSetAttribute", `kernel ${name}`);
        sharedLimit = bytes;
      },
    };
  }

  /** Unloads the code; its kernels must not be running. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("module");
    checkFreed(this.#context.driver.cuModuleUnload(this.#handle), "cuModuleUnload");
  }
}

/** Arguments in the layout of a C struct: each aligned to its own size, little-endian. */
export function packArguments(args: readonly PackedArgument[]): Uint8Array {
  let bytes = 0;
  const offsets = args.map(({ kind }) => {
    const size = kind === "pointer" || kind === "int64" ? 8 : 4;
    const offset = Math.ceil(bytes / size) * size;
    bytes = offset + size;
    return offset;
  });
  const packed = new Uint8Array(bytes);
  const view = new DataView(packed.buffer);
  for (const [i, { kind, value }] of args.entries()) {
    const offset = offsets[i]!;
    if (kind === "pointer") view.setBigUint64(offset, BigInt(value), true);
    else if (kind === "int64") view.setBigInt64(offset, BigInt(value), true);
    else if (kind === "int32") view.setInt32(offset, value, true);
    else view.setFloat32(offset, value, true);
  }
  return packed;
}
