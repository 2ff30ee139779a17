/**
 * @file One matmul as cuBLASLt sees it: descriptors of the operation and its matrices, for operands of some least
 * alignment, and the algorithms that can do it.
 */
import { ParetoError } from "../../../../base/errors.ts";
import type { MatmulEpilogue, MatmulSpec } from "../plan.ts";
import type { CublasLtLibrary } from "./cublasLtLibrary.ts";
import { checkCublas } from "./errors.ts";
import { addressOf, OutWord } from "./koffi.ts";
import { closed, opened } from "./liveObjects.ts";
import { columnMajorOperands, computeTypes, dataTypes, type StoredMatrix } from "./matmulTypes.ts";

/** `cublasLtEpilogue_t`. */
const epilogues: Readonly<Record<MatmulEpilogue, number>> = {
  none: 1,
  relu: 2,
  bias: 4,
  biasRelu: 6,
  gelu: 32,
  biasGelu: 36,
};

const descriptorAttribute = { operationFirst: 3, operationSecond: 4, epilogue: 7, biasPointer: 8 } as const;
const layoutAttribute = { batch: 5, stride: 6 } as const;
const preferenceAttribute = { workspaceBytes: 1, reductionSchemes: 3, alignments: [5, 6, 7, 8] } as const;

/**
 * Ways to add up a matmul that was split along K, each in a fixed order: in the workspace as float32, or also in the
 * output's type where that is float32. Adding up in place, in order of arrival, is left out.
 */
const reductionSchemes = { float32: 2 | 4, half: 2 } as const;

/** Bytes of a `cublasLtMatmulHeuristicResult_t`, and of the `cublasLtMatmulAlgo_t` that it begins with. */
const resultBytes = 96;
const algorithmBytes = 64;
const resultOffset = { workspaceBytes: 64, state: 72 } as const;

/** 1.0 and 0.0, read by cuBLASLt from host memory. */
const scales = new Float32Array([1, 0]);

/** Most algorithms that are asked for. */
const wanted = 8;

/** An algorithm: opaque bytes, good for the same matmul and version of cuBLASLt. */
export type Algorithm = Uint8Array;

/** Where a matmul's operands are. */
export interface Operands {
  readonly a: number;
  readonly b: number;
  /** Ignored without a bias in the epilogue. */
  readonly bias: number;
  readonly out: number;
}

/** A matmul that can be run with any of its algorithms. */
export class LtOperation {
  readonly #library: CublasLtLibrary;
  readonly #handle: number;
  readonly #spec: MatmulSpec;
  readonly #hasBias: boolean;
  readonly #alignment: number;
  readonly #descriptor: number;
  readonly #first: number;
  readonly #second: number;
  readonly #out: number;
  readonly #bias = new BigUint64Array(1);
  readonly #alpha = addressOf(scales);
  #biasSet = 0;
  #disposed = false;

  /** @param alignment bytes that divide all addresses it will be run with */
  constructor(library: CublasLtLibrary, handle: number, spec: MatmulSpec, alignment: number) {
    this.#library = library;
    this.#handle = handle;
    this.#spec = spec;
    this.#alignment = alignment;
    this.#hasBias = spec.epilogue.startsWith("bias");
    const { m, n, batch, strideA, strideB, strideOut, dtype, outDtype, compute, epilogue } = spec;
    const word = new OutWord();
    const created = library.cublasLtMatmulDescCreate(word.place, computeTypes[compute], dataTypes.float32);
    checkCublas(created, "cublasLtMatmulDescCreate", "MatmulLibrary");
    this.#descriptor = word.value;
    opened("cublasLt matmul");
    const { first, second } = columnMajorOperands(spec);
    this.#setInt(descriptorAttribute.operationFirst, first.operation);
    this.#setInt(descriptorAttribute.operationSecond, second.operation);
    this.#setInt(descriptorAttribute.epilogue, epilogues[epilogue]);
    const out: StoredMatrix = { rows: n, columns: m, leading: n, operation: 0 };
    this.#first = this.#layout(first, dataTypes[dtype], batch, strideB);
    this.#second = this.#layout(second, dataTypes[dtype], batch, strideA);
    this.#out = this.#layout(out, dataTypes[outDtype], batch, strideOut);
    // The choice of algorithms heeds the alignment of the address that is set.
    if (this.#hasBias) this.#setBias(alignment);
  }

  /**
   * Algorithms that can do it, the most promising first.
   * @throws ParetoError `CUDA_FAILED` when there is none
   */
  algorithms(workspaceBytes: number): readonly Algorithm[] {
    const library = this.#library;
    const word = new OutWord();
    checkCublas(
      library.cublasLtMatmulPreferenceCreate(word.place),
      "cublasLtMatmulPreferenceCreate",
      "MatmulLibrary",
    );
    const preference = word.value;
    const set = (attribute: number, value: Uint32Array | BigUint64Array): void => {
      const status = library.cublasLtMatmulPreferenceSetAttribute(
        preference,
        attribute,
        value,
        value.byteLength,
      );
      checkCublas(status, "cublasLtMatmulPreferenceSetAttribute", "MatmulLibrary");
    };
    const results = new Uint8Array(wanted * resultBytes);
    const count = new Int32Array(1);
    let status: number;
    try {
      set(preferenceAttribute.workspaceBytes, BigUint64Array.of(BigInt(workspaceBytes)));
      const schemes = reductionSchemes[this.#spec.outDtype === "float32" ? "float32" : "half"];
      set(preferenceAttribute.reductionSchemes, Uint32Array.of(schemes));
      for (const attribute of preferenceAttribute.alignments) set(attribute, Uint32Array.of(this.#alignment));
      status = library.cublasLtMatmulAlgoGetHeuristic(
        this.#handle,
        this.#descriptor,
        this.#first,
        this.#second,
        this.#out,
        this.#out,
        preference,
        wanted,
        results,
        count,
      );
    } finally {
      library.cublasLtMatmulPreferenceDestroy(preference);
    }
    const view = new DataView(results.buffer);
    const usable = Array.from({ length: status === 0 ? count[0]! : 0 }, (_, i) => i * resultBytes).filter(
      (at) =>
        view.getInt32(at + resultOffset.state, true) === 0 &&
        view.getBigUint64(at + resultOffset.workspaceBytes, true) <= BigInt(workspaceBytes),
    );
    if (usable.length === 0) throw noAlgorithm(this.#spec, status);
    return usable.map((at) => results.slice(at, at + algorithmBytes));
  }

  /**
   * Queues the matmul.
   * @param algorithm address of one of algorithms()
   * @returns a `cublasStatus_t`
   */
  run(
    { a, b, bias, out }: Operands,
    algorithm: number,
    workspace: number,
    workspaceBytes: number,
    stream: number,
  ): number {
    if (this.#hasBias && bias !== this.#biasSet) this.#setBias(bias);
    return this.#library.cublasLtMatmul(
      this.#handle,
      this.#descriptor,
      this.#alpha,
      b,
      this.#first,
      a,
      this.#second,
      this.#alpha + 4,
      out,
      this.#out,
      out,
      this.#out,
      algorithm,
      workspace,
      workspaceBytes,
      stream,
    );
  }

  /** Frees the descriptors. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    closed("cublasLt matmul");
    for (const layout of [this.#first, this.#second, this.#out])
      this.#library.cublasLtMatrixLayoutDestroy(layout);
    this.#library.cublasLtMatmulDescDestroy(this.#descriptor);
  }

  #setInt(attribute: number, value: number): void {
    const status = this.#library.cublasLtMatmulDescSetAttribute(
      this.#descriptor,
      attribute,
      Int32Array.of(value),
      4,
    );
    checkCublas(status, "cublasLtMatmulDescSetAttribute", "MatmulLibrary");
  }

  #setBias(address: number): void {
    this.#bias[0] = BigInt(address);
    const { biasPointer } = descriptorAttribute;
    const status = this.#library.cublasLtMatmulDescSetAttribute(this.#descriptor, biasPointer, this.#bias, 8);
    checkCublas(status, "cublasLtMatmulDescSetAttribute", "MatmulLibrary");
    this.#biasSet = address;
  }

  #layout({ rows, columns, leading }: StoredMatrix, type: number, batch: number, stride: number): number {
    const library = this.#library;
    const word = new OutWord();
    const created = library.cublasLtMatrixLayoutCreate(word.place, type, rows, columns, leading);
    checkCublas(created, "cublasLtMatrixLayoutCreate", "MatmulLibrary");
    const layout = word.value;
    if (batch > 1) {
      const set = (attribute: number, value: Int32Array | BigInt64Array): void => {
        const status = library.cublasLtMatrixLayoutSetAttribute(layout, attribute, value, value.byteLength);
        checkCublas(status, "cublasLtMatrixLayoutSetAttribute", "MatmulLibrary");
      };
      set(layoutAttribute.batch, Int32Array.of(batch));
      set(layoutAttribute.stride, BigInt64Array.of(BigInt(stride)));
    }
    return layout;
  }
}

function noAlgorithm(spec: MatmulSpec, status: number): ParetoError {
  const { m, n, k, batch, dtype, outDtype, compute, epilogue } = spec;
  return new ParetoError({
    code: "CUDA_FAILED",
    where: "MatmulLibrary.prepare",
    message:
      `MatmulLibrary.prepare: cuBLASLt has no algorithm (status ${status}) for a matmul of ${dtype} into ${outDtype} ` +
      `(${compute}, epilogue ${epilogue}), got M=${m} N=${n} K=${k} batch=${batch}`,
    fix: "Use element types that cuBLASLt multiplies on this GPU, or report the matmul.",
  });
}
