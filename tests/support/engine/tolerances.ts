/** @file How close is close: one table by class of op and element type. Integers and booleans are always exact. */
import type { DType, FloatDType } from "../../../src/base/dtype.ts";
import type { OpName } from "../../../src/engine/graph/opAttrs.ts";

/** |got − want| ≤ atol + rtol · |want|. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

/**
 * One unit in the last place: what a value just beside a tie may differ by when it was rounded from float32 and not
 * from the exact result.
 */
const ulp = { float16: 2 ** -10, bfloat16: 2 ** -7 } as const;
const half = (ulps: number, atol: { float16: number; bfloat16: number }) => ({
  float16: { rtol: ulps * ulp.float16, atol: atol.float16 },
  bfloat16: { rtol: ulps * ulp.bfloat16, atol: atol.bfloat16 },
});

/** Ops by what makes their results differ between correct implementations. */
export type OpClass = keyof typeof table;

const exact: Tolerance = { rtol: 0, atol: 0 };

const table = {
  /** Moves, compares or rounds: one right answer. */
  exact: { float32: exact, float64: exact, float16: exact, bfloat16: exact },
  /** One correctly rounded operation, where a target may contract or reassociate. */
  arithmetic: {
    float32: { rtol: 3e-7, atol: 1e-37 },
    float64: { rtol: 1e-15, atol: 0 },
    ...half(1, { float16: 2 ** -24, bfloat16: 1e-37 }),
  },
  /** Polynomial approximations: a few units in the last place, more near zeros of sin and log. */
  transcendental: {
    float32: { rtol: 3e-6, atol: 1e-6 },
    float64: { rtol: 1e-13, atol: 1e-15 },
    ...half(1, { float16: 1e-6, bfloat16: 1e-6 }),
  },
  /** Sums of some hundred terms of order one, in any order. */
  accumulation: {
    float32: { rtol: 1e-5, atol: 1e-5 },
    float64: { rtol: 1e-12, atol: 1e-13 },
    ...half(1, { float16: 1e-5, bfloat16: 1e-5 }),
  },
  /** Whole models, loops and gradients: chains of the above, where 16-bit types may round at every op or at the last. */
  chain: {
    float32: { rtol: 1e-4, atol: 3e-5 },
    float64: { rtol: 1e-10, atol: 1e-11 },
    ...half(4, { float16: 12 * ulp.float16, bfloat16: 12 * ulp.bfloat16 }),
  },
  /** Analytic against central differences with a step of 1e-6: cancellation costs about 1e-10 of the values. */
  finiteDifference: { float32: exact, float64: { rtol: 2e-6, atol: 2e-7 }, float16: exact, bfloat16: exact },
} as const satisfies Record<string, Record<FloatDType, Tolerance>>;

/** The class of every op. */
const classOf: Record<OpName, OpClass> = {
  input: "exact",
  state: "exact",
  constant: "exact",
  random: "exact",
  neg: "exact",
  abs: "exact",
  sign: "exact",
  exp: "transcendental",
  log: "transcendental",
  sqrt: "arithmetic",
  sin: "transcendental",
  cos: "transcendental",
  tanh: "transcendental",
  sigmoid: "transcendental",
  softplus: "transcendental",
  relu: "exact",
  erf: "transcendental",
  floor: "exact",
  logicalNot: "exact",
  cast: "exact",
  add: "arithmetic",
  sub: "arithmetic",
  mul: "arithmetic",
  div: "arithmetic",
  pow: "transcendental",
  maximum: "exact",
  minimum: "exact",
  equal: "exact",
  less: "exact",
  lessEqual: "exact",
  logicalAnd: "exact",
  logicalOr: "exact",
  where: "exact",
  reshape: "exact",
  broadcastTo: "exact",
  transpose: "exact",
  slice: "exact",
  pad: "exact",
  concat: "exact",
  flip: "exact",
  sum: "accumulation",
  max: "exact",
  argmax: "exact",
  cumsum: "accumulation",
  softmax: "transcendental",
  matmul: "accumulation",
  conv1d: "accumulation",
  conv1dInputGradient: "accumulation",
  conv1dKernelGradient: "accumulation",
  dotInteraction: "accumulation",
  dotInteractionGradient: "accumulation",
  gather: "exact",
  scatterAdd: "accumulation",
  take: "exact",
  scan: "chain",
  softmaxGradient: "accumulation",
  layerNorm: "accumulation",
  layerNormGradient: "chain",
  rmsNorm: "accumulation",
  crossEntropy: "accumulation",
  crossEntropyGradient: "accumulation",
  lstmCell: "accumulation",
  lstmCellGradient: "accumulation",
  lstmScan: "chain",
  lstmScanGradient: "chain",
  featureInteraction: "accumulation",
  featureInteractionGradient: "accumulation",
  attention: "chain",
  attentionGradient: "chain",
};

/** The tolerance of a class for an element type. */
export function tolerance(opClass: OpClass, dtype: DType): Tolerance {
  return dtype === "int32" || dtype === "bool" ? exact : table[opClass][dtype];
}

/** The tolerance of an op's results. */
export function opTolerance(op: OpName, dtype: DType): Tolerance {
  return tolerance(classOf[op], dtype);
}
