/**
 * @file Matrix products by cuBLASLt: descriptors are made once, the algorithm is chosen once by timing those that
 * cuBLASLt proposes, and a run is one call.
 *
 * The choice is kept, in the process and on disk, so equal matmuls on one GPU model give equal bits. Where the folder
 * cannot be written, another process may choose another algorithm, whose sums differ in their last bits.
 */
import { ParetoError } from "../../../../base/errors.ts";
import type { DeviceAllocator, DeviceBuffer } from "../memory/deviceAllocator.ts";
import type { MatmulSpec } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import { cacheFolder } from "../../../../base/cacheFolder.ts";
import { cublasLtLibrary, type CublasLtLibrary } from "./cublasLtLibrary.ts";
import { checkCublas } from "./errors.ts";
import { addressOf, OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";
import { LtOperation, type Algorithm } from "./ltOperation.ts";
import { MatmulChoices } from "./matmulChoices.ts";
import { chooseFastest } from "./matmulTuning.ts";
import type { Stream } from "./stream.ts";

/** Scratch memory of a matmul, one buffer for each stream. cuBLAS recommends 32 MiB on Hopper. */
const workspaceBytes = 32 * 2 ** 20;

/** Alignment that buffers have as a rule; matmuls at odd offsets get algorithms of their own. */
const usualAlignment = 16;

/** A matmul that is ready to run. */
export interface PreparedMatmul {
  /**
   * Queues the matmul. Addresses are of device memory; `bias` is ignored unless the epilogue adds one.
   * @throws ParetoError `CUDA_FAILED`, `CUDA_OUT_OF_MEMORY` for the workspace of a new stream
   */
  run(stream: Stream, a: number, b: number, bias: number, out: number): void;
  /** Frees what it holds. */
  dispose(): void;
}

/** How matmuls are chosen. */
export interface MatmulLibraryOptions {
  /** Times the algorithms that cuBLASLt proposes; otherwise its first is taken. Defaults to true. */
  autotune?: boolean;
  /** Where choices are kept. Defaults to the user's cache folder. */
  cacheDirectory?: string;
}

/** Makes matmuls for one GPU. */
export class MatmulLibrary {
  readonly #context: CudaContext;
  readonly #allocator: DeviceAllocator;
  readonly #autotune: boolean;
  readonly #cacheDirectory: string;
  readonly #workspaces = new Map<number, DeviceBuffer>();
  /** Chosen algorithms, by matmul and alignment. */
  readonly #choices = new Map<string, Algorithm>();
  readonly #prepared = new Set<LtMatmul>();
  #lt: OpenLt | undefined;

  constructor(
    context: CudaContext,
    allocator: DeviceAllocator,
    { autotune = true, cacheDirectory = cacheFolder("cuda") }: MatmulLibraryOptions = {},
  ) {
    this.#context = context;
    this.#allocator = allocator;
    this.#autotune = autotune;
    this.#cacheDirectory = cacheDirectory;
  }

  /**
   * Makes a matmul ready. Without sums (K = 0) the output is zeroed, which an epilogue with bias does not allow.
   * @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION`, `CUDA_FAILED` when cuBLASLt cannot do it
   */
  prepare(spec: MatmulSpec): PreparedMatmul {
    if (spec.m === 0 || spec.n === 0 || spec.batch === 0) return nothingToDo;
    if (spec.k === 0) return zeros(spec);
    const matmul: LtMatmul = new LtMatmul(this, mergeBatch(spec), () => this.#prepared.delete(matmul));
    this.#prepared.add(matmul);
    return matmul;
  }

  /** Frees all matmuls and workspaces. */
  dispose(): void {
    for (const matmul of this.#prepared) matmul.dispose();
    for (const workspace of this.#workspaces.values()) workspace.free();
    this.#workspaces.clear();
    this.#choices.clear();
    if (!this.#lt) return;
    closed("cublasLt");
    checkCublas(this.#lt.calls.cublasLtDestroy(this.#lt.handle), "cublasLtDestroy");
    this.#lt = undefined;
  }

  /** For LtMatmul: the operation for an alignment and its algorithm. `tune` needs a stream that is not recording. */
  operation(
    spec: MatmulSpec,
    alignment: number,
    tune: boolean,
  ): { operation: LtOperation; algorithm: Algorithm } {
    const lt = this.#open();
    const operation = new LtOperation(lt.calls, lt.handle, spec, alignment);
    try {
      const key = `${alignment} ${JSON.stringify(spec)}`;
      let algorithm = this.#choices.get(key);
      if (!algorithm) {
        algorithm = this.#choose(lt, operation, spec, key, tune && this.#autotune);
        this.#choices.set(key, algorithm);
      }
      return { operation, algorithm };
    } catch (error) {
      operation.dispose();
      throw error;
    }
  }

  /** For LtMatmul: a stream's scratch memory. */
  workspace(stream: Stream): DeviceBuffer {
    const known = this.#workspaces.get(stream.handle);
    if (known) return known;
    const made = this.#allocator.allocate(workspaceBytes, "matmul workspace");
    this.#workspaces.set(stream.handle, made);
    return made;
  }

  #choose(
    { choices }: OpenLt,
    operation: LtOperation,
    spec: MatmulSpec,
    key: string,
    tune: boolean,
  ): Algorithm {
    const proposed = operation.algorithms(workspaceBytes);
    if (!tune || proposed.length === 1) return proposed[0]!;
    const known = choices.find(key, proposed);
    if (known) return known;
    const chosen = chooseFastest(this.#context, this.#allocator, operation, spec, proposed, workspaceBytes);
    choices.keep(key, chosen);
    return chosen;
  }

  #open(): OpenLt {
    if (this.#lt) return this.#lt;
    const calls = cublasLtLibrary(this.#context);
    const word = new OutWord();
    checkCublas(calls.cublasLtCreate(word.place), "cublasLtCreate", "MatmulLibrary");
    opened("cublasLt");
    const { name, multiprocessors } = this.#context.info;
    const version = `cuBLASLt ${calls.cublasLtGetVersion()}`;
    const choices = new MatmulChoices(
      this.#cacheDirectory,
      name,
      `${multiprocessors} multiprocessors`,
      version,
    );
    this.#lt = { calls, handle: word.value, choices };
    return this.#lt;
  }
}

interface OpenLt {
  readonly calls: CublasLtLibrary;
  readonly handle: number;
  readonly choices: MatmulChoices;
}

interface Variant {
  readonly operation: LtOperation;
  /** Kept alive for `address`. */
  readonly algorithm: Algorithm;
  readonly address: number;
}

class LtMatmul implements PreparedMatmul {
  readonly #library: MatmulLibrary;
  readonly #spec: MatmulSpec;
  readonly #forget: () => void;
  readonly #hasBias: boolean;
  readonly #usual: Variant;
  /** For addresses that are less aligned. */
  readonly #odd = new Map<number, Variant>();
  #disposed = false;

  constructor(library: MatmulLibrary, spec: MatmulSpec, forget: () => void) {
    this.#library = library;
    this.#spec = spec;
    this.#forget = forget;
    this.#hasBias = spec.epilogue.startsWith("bias");
    this.#usual = this.#variant(usualAlignment, true);
  }

  run(stream: Stream, a: number, b: number, bias: number, out: number): void {
    const alignment = alignmentOf(a, b, this.#hasBias ? bias : 0, out);
    const { operation, address } = alignment >= usualAlignment ? this.#usual : this.#oddVariant(alignment);
    const workspace = this.#library.workspace(stream);
    const status = operation.run(
      { a, b, bias, out },
      address,
      workspace.pointer,
      workspaceBytes,
      stream.handle,
    );
    if (status !== 0) checkCublas(status, "cublasLtMatmul", "matmul");
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#usual.operation.dispose();
    for (const { operation } of this.#odd.values()) operation.dispose();
    this.#forget();
  }

  #oddVariant(alignment: number): Variant {
    let variant = this.#odd.get(alignment);
    if (!variant) {
      // The stream may be recording, when nothing can be timed.
      variant = this.#variant(alignment, false);
      this.#odd.set(alignment, variant);
    }
    return variant;
  }

  #variant(alignment: number, tune: boolean): Variant {
    const { operation, algorithm } = this.#library.operation(this.#spec, alignment, tune);
    return { operation, algorithm, address: addressOf(algorithm) };
  }
}

/** Largest power of two, at most the usual alignment, that divides all addresses. */
function alignmentOf(a: number, b: number, bias: number, out: number): number {
  // The low bits survive the conversion to 32 bits.
  const bits = (a | b | bias | out | usualAlignment) >>> 0;
  return bits & -bits;
}

/** A batch whose matrices a follow each other and share one b is one matmul with more rows. */
function mergeBatch(spec: MatmulSpec): MatmulSpec {
  const { m, n, k, batch, strideA, strideB, strideOut, transposeA } = spec;
  if (batch === 1) return { ...spec, strideA: 0, strideB: 0, strideOut: 0 };
  if (strideB !== 0 || transposeA || strideA !== m * k || strideOut !== m * n) return spec;
  return { ...spec, m: m * batch, batch: 1, strideA: 0, strideOut: 0 };
}

const nothingToDo: PreparedMatmul = { run: () => undefined, dispose: () => undefined };

function zeros({ m, n, batch, strideOut, outDtype, epilogue }: MatmulSpec): PreparedMatmul {
  if (epilogue !== "none" && epilogue !== "relu" && epilogue !== "gelu") {
    throw new ParetoError({
      code: "CUDA_FAILED",
      where: "MatmulLibrary.prepare",
      message: `MatmulLibrary.prepare: a matmul without sums has no epilogue with bias, got K=0 and ${epilogue}`,
      fix: "Broadcast the bias by a kernel where K is 0.",
    });
  }
  const elementBytes = outDtype === "float32" ? 4 : 2;
  return {
    run(stream, _a, _b, _bias, out) {
      for (let i = 0; i < batch; i++) stream.clear(out + i * strideOut * elementBytes, m * n * elementBytes);
    },
    dispose: () => undefined,
  };
}
