/**
 * @file Plain cuBLAS: what `cublasGemmEx` makes of a matmul, for comparison with this library's own path.
 */
import type { Precision } from "../../../program.ts";
import type { MatmulDType } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import type { Memory } from "./driverLibrary.ts";
import { checkCublas } from "./errors.ts";
import { addressOf, bind, OutWord, type Prototypes } from "./koffi.ts";
import { openLibrary } from "./libraries.ts";
import { closed, opened } from "./liveObjects.ts";
import { columnMajorOperands, computeTypes, dataTypes } from "./matmulTypes.ts";
import type { Stream } from "./stream.ts";

interface CublasLibrary {
  cublasCreate_v2(outHandle: Memory): number;
  cublasDestroy_v2(handle: number): number;
  cublasSetStream_v2(handle: number, stream: number): number;
  cublasGemmEx(
    ...args: [
      handle: number,
      operationFirst: number,
      operationSecond: number,
      m: number,
      n: number,
      k: number,
      alpha: number,
      first: number,
      firstType: number,
      firstLeading: number,
      second: number,
      secondType: number,
      secondLeading: number,
      beta: number,
      out: number,
      outType: number,
      outLeading: number,
      computeType: number,
      algorithm: number,
    ]
  ): number;
  cublasGemmStridedBatchedEx(
    ...args: [
      handle: number,
      operationFirst: number,
      operationSecond: number,
      m: number,
      n: number,
      k: number,
      alpha: number,
      first: number,
      firstType: number,
      firstLeading: number,
      firstStride: number,
      second: number,
      secondType: number,
      secondLeading: number,
      secondStride: number,
      beta: number,
      out: number,
      outType: number,
      outLeading: number,
      outStride: number,
      batch: number,
      computeType: number,
      algorithm: number,
    ]
  ): number;
}

const prototypes: Prototypes<CublasLibrary> = {
  cublasCreate_v2: "int cublasCreate_v2(void *handle)",
  cublasDestroy_v2: "int cublasDestroy_v2(uintptr_t handle)",
  cublasSetStream_v2: "int cublasSetStream_v2(uintptr_t handle, uintptr_t stream)",
  cublasGemmEx:
    "int cublasGemmEx(uintptr_t handle, int opFirst, int opSecond, int m, int n, int k, uintptr_t alpha, uintptr_t first, int firstType, int firstLeading, uintptr_t second, int secondType, int secondLeading, uintptr_t beta, uintptr_t out, int outType, int outLeading, int computeType, int algorithm)",
  cublasGemmStridedBatchedEx:
    "int cublasGemmStridedBatchedEx(uintptr_t handle, int opFirst, int opSecond, int m, int n, int k, uintptr_t alpha, uintptr_t first, int firstType, int firstLeading, int64_t firstStride, uintptr_t second, int secondType, int secondLeading, int64_t secondStride, uintptr_t beta, uintptr_t out, int outType, int outLeading, int64_t outStride, int batch, int computeType, int algorithm)",
};

/** `CUBLAS_GEMM_DEFAULT`: cuBLAS chooses. */
const chosenByCublas = -1;

/** A row-major matmul of packed matrices: out[batch, M, N] = op(a) · op(b). */
export interface GemmSpec {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Defaults to 1. */
  readonly batch?: number;
  /** `a` is stored `[K, M]`. */
  readonly transposeA?: boolean;
  /** `b` is stored `[N, K]`. */
  readonly transposeB?: boolean;
  /** Type of a, b and out. */
  readonly dtype: MatmulDType;
  readonly compute: Precision;
}

/** cuBLAS on a stream, with its own choice of algorithm and its own workspace. */
export class Cublas {
  /** 1.0 and 0.0, read by cuBLAS from host memory. */
  readonly #scales = new Float32Array([1, 0]);
  readonly #library: CublasLibrary;
  readonly #handle: number;
  #disposed = false;

  /** @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION` */
  constructor(context: CudaContext, stream: Stream) {
    const { handle } = openLibrary("cublas", Math.floor(context.info.driverVersion / 1000));
    this.#library = bind(handle, prototypes);
    const word = new OutWord();
    checkCublas(this.#library.cublasCreate_v2(word.place), "cublasCreate", "Cublas");
    this.#handle = word.value;
    opened("cublas");
    checkCublas(this.#library.cublasSetStream_v2(this.#handle, stream.handle), "cublasSetStream", "Cublas");
  }

  /** Queues a matmul. @throws ParetoError `CUDA_FAILED` */
  gemm(spec: GemmSpec, a: number, b: number, out: number): void {
    const { m, n, k, batch = 1, transposeA = false, transposeB = false, dtype, compute } = spec;
    if (m === 0 || n === 0 || batch === 0) return;
    const { first, second } = columnMajorOperands({ m, n, k, transposeA, transposeB });
    const type = dataTypes[dtype];
    const scales = addressOf(this.#scales);
    const [handle, computeType] = [this.#handle, computeTypes[compute]];
    if (batch === 1) {
      const status = this.#library.cublasGemmEx(
        ...([handle, first.operation, second.operation, n, m, k, scales] as const),
        ...([b, type, first.leading, a, type, second.leading, scales + 4] as const),
        ...([out, type, n, computeType, chosenByCublas] as const),
      );
      checkCublas(status, "cublasGemmEx", "Cublas.gemm");
      return;
    }
    const status = this.#library.cublasGemmStridedBatchedEx(
      ...([handle, first.operation, second.operation, n, m, k, scales] as const),
      ...([b, type, first.leading, n * k, a, type, second.leading, m * k, scales + 4] as const),
      ...([out, type, n, m * n, batch, computeType, chosenByCublas] as const),
    );
    checkCublas(status, "cublasGemmStridedBatchedEx", "Cublas.gemm");
  }

  /** Frees what cuBLAS holds. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("cublas");
    checkCublas(this.#library.cublasDestroy_v2(this.#handle), "cublasDestroy");
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
