/**
 * @file The elementwise ops on one element, as CUDA C++. Meanings are those of the reference target's kernels, except
 * that 16-bit floats keep the precision of float32 between the ops of a kernel: they are rounded where they are stored,
 * compared or made by a cast.
 */
import { isHalf, type DType } from "../../../../base/dtype.ts";
import type { AnyNode, Node } from "../../../graph/node.ts";
import type { OpName } from "../../../graph/opAttrs.ts";
import { elementType } from "./elementTypes.ts";
import type { HelperName } from "./helpers.ts";

interface ScalarCode {
  readonly code: string;
  readonly helper?: HelperName;
}

type Rule = (operands: readonly string[], node: Node) => string | ScalarCode;

const isInt = (node: Node) => node.outputs[0]!.dtype === "int32";
/** int32 arithmetic wraps around; signed overflow is undefined in C++, so it is done on unsigned words. */
const wrapping = (a: string, operator: string, b: string) =>
  `(int)((unsigned)${a} ${operator} (unsigned)${b})`;
const call =
  (name: string): Rule =>
  ([a]) =>
    `${name}(${a})`;
const helper =
  (name: HelperName): Rule =>
  (operands) => ({ code: `${name}(${operands.join(", ")})`, helper: name });
const infix =
  (operator: string): Rule =>
  ([a, b]) =>
    `${a} ${operator} ${b}`;
const arithmetic =
  (operator: string): Rule =>
  ([a, b], node) =>
    isInt(node) ? wrapping(a!, operator, b!) : `${a} ${operator} ${b}`;

/** A value rounded to a 16-bit type, which a register holds more precisely; the value itself for other types. */
function inType(value: string, dtype: DType): string | ScalarCode {
  if (!isHalf(dtype)) return value;
  const { load, store, helpers } = elementType(dtype);
  return { code: load(store(value)), ...(helpers?.[0] && { helper: helpers[0] }) };
}

/** Values of 16-bit types are compared as they are stored: an element equals the maximum that it became. */
const compare =
  (operator: string): Rule =>
  (operands, node) => {
    const [a, b] = operands.map((value) => inType(value, node.inputs[0]!.dtype));
    if (typeof a === "string") return `${a} ${operator} ${b as string}`;
    return { ...a!, code: `${a!.code} ${operator} ${(b as ScalarCode).code}` };
  };

/** Code by op. */
const rules = {
  neg: ([a], node) => (isInt(node) ? wrapping("0", "-", a!) : `-${a}`),
  abs: ([a], node) => (isInt(node) ? `${a} < 0 ? ${wrapping("0", "-", a!)} : ${a}` : `fabsf(${a})`),
  sign: helper("sign"),
  exp: call("expf"),
  log: call("logf"),
  sqrt: call("sqrtf"),
  sin: call("sinf"),
  cos: call("cosf"),
  tanh: call("tanhf"),
  sigmoid: helper("sigmoid"),
  softplus: helper("softplus"),
  relu: helper("relu"),
  erf: call("erff"),
  floor: call("floorf"),
  logicalNot: ([a]) => `!${a}`,
  cast: ([a], node) => {
    const from = elementType(node.inputs[0]!.dtype).value;
    const to = elementType(node.outputs[0]!.dtype).value;
    if (to === "bool") return from === to ? a! : `${a} != ${from === "int" ? "0" : "0.0f"}`;
    const value = from === to ? a! : `(${to})${a}`;
    return from === "bool" ? value : inType(value, node.outputs[0]!.dtype);
  },
  add: arithmetic("+"),
  sub: arithmetic("-"),
  mul: arithmetic("*"),
  div: ([a, b], node) => (isInt(node) ? { code: `divide(${a}, ${b})`, helper: "divide" } : `${a} / ${b}`),
  pow: ([a, b]) => `powf(${a}, ${b})`,
  maximum: helper("maximum"),
  minimum: helper("minimum"),
  equal: compare("=="),
  less: compare("<"),
  lessEqual: compare("<="),
  logicalAnd: infix("&&"),
  logicalOr: infix("||"),
  where: ([c, a, b]) => `${c} ? ${a} : ${b}`,
} satisfies Partial<Record<OpName, Rule>>;

type ScalarName = keyof typeof rules;

/** Ops that cost a dozen instructions or more. */
const heavy: ReadonlySet<OpName> = new Set<OpName>([
  "exp",
  "log",
  "sin",
  "cos",
  "tanh",
  "sigmoid",
  "softplus",
  "erf",
  "pow",
  "random",
] satisfies OpName[]);

/** Whether an op works on one element of each operand. */
export function isElementwise(node: AnyNode): boolean {
  return node.op in rules;
}

/** Whether an op takes many instructions an element. */
export function isHeavy(node: AnyNode): boolean {
  return heavy.has(node.op);
}

/** An elementwise op applied to values in registers. */
export function scalarCode(node: AnyNode, operands: readonly string[]): ScalarCode {
  const made = (rules[node.op as ScalarName] as Rule)(operands, node as unknown as Node);
  return typeof made === "string" ? { code: made } : made;
}
