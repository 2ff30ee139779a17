/**
 * @file Code of sums and maxima along any axes, with the elementwise work before and after them. Rows are added up by
 * the threads of a warp or a block, columns by the rows of threads of a block.
 */
import type { DType } from "../../../../base/dtype.ts";
import type { Node, Tensor } from "../../../graph/node.ts";
import type { BufferView } from "../plan.ts";
import { elementType } from "./elementTypes.ts";
import { Evaluator } from "./evaluator.ts";
import { BLOCK_THREADS, Scope, type KernelBuilder } from "./kernelBuilder.ts";
import { fixed, flatten, plus, times, unflatten, variable, type Linear } from "./linear.ts";
import { apart, lanesFrom, type Places } from "./places.ts";
import { writeResults } from "./pointwise.ts";
import { axesOf, WARP, type ReductionPlan } from "./reductionPlan.ts";

const zero = fixed(0);
const one = fixed(1);
/** Steps of a loop written out one after the other. */
const UNROLL_MAX = 8;
const UNROLLED_LINES_MAX = 24;

/** A reduction whose elements come from the graph, or from the parts of another. */
interface Source {
  readonly dtype: DType;
  readonly operation: "sum" | "max";
  /** Reads the elements of several (k, r). */
  read(evaluator: Evaluator, k: readonly Linear[], r: readonly Linear[]): string[];
}

/**
 * The op as a source of elements.
 * @param beforeEach writes what is computed along the way, at flat positions of the operand
 */
export function sourceOf(
  node: Node<"sum" | "max">,
  beforeEach: (evaluator: Evaluator, positions: readonly Linear[]) => void,
): Source {
  const x = node.inputs[0]!;
  const { kept, reduced } = axesOf(node);
  const lengths = (axes: readonly number[]) => axes.map((axis) => x.shape[axis]!);
  return {
    dtype: x.dtype,
    operation: node.op,
    read: (evaluator, k, r) => {
      const indices = k.map((_, lane) => {
        const outer = unflatten(k[lane]!, lengths(kept));
        const inner = unflatten(r[lane]!, lengths(reduced));
        return x.shape.map((_, axis) => outer[kept.indexOf(axis)] ?? inner[reduced.indexOf(axis)] ?? zero);
      });
      beforeEach(
        evaluator,
        indices.map((index) => flatten(index, x.shape)),
      );
      return evaluator.atIndex(x, indices);
    },
  };
}

/** Type in which partial results are kept. */
export function partDtype(dtype: DType): "float32" | "int32" {
  return dtype === "int32" ? "int32" : "float32";
}

/** The parts of a reduction as a source: `[parts, kept]`. */
export function partsSource(node: Node<"sum" | "max">, plan: ReductionPlan, view: BufferView): Source {
  const dtype = partDtype(node.inputs[0]!.dtype);
  return {
    dtype,
    operation: node.op,
    read: (evaluator, k, r) =>
      evaluator.code.read(
        view,
        { dtype, shape: [plan.parts, plan.kept] },
        k.map((at, lane) => plus(at, r[lane]!, plan.kept)),
      ),
  };
}

/** What becomes of the results: stored as parts, or as the op's results. */
export type Finish = (
  evaluator: Evaluator,
  k: readonly Linear[],
  part: Linear,
  totals: readonly string[],
) => void;

/** Stores partial results at `[part, k]`. */
export function storeParts(dtype: DType, { parts, kept }: ReductionPlan, view: BufferView): Finish {
  return (evaluator, k, part, totals) =>
    evaluator.code.store(
      view,
      { dtype: partDtype(dtype), shape: [parts, kept] },
      k.map((at) => plus(at, part, kept)),
      totals,
    );
}

/** Computes and stores what follows on the results, which come first. */
export function storeResults(
  results: readonly Tensor[],
  isKept: (t: Tensor) => boolean,
  places: Places,
): Finish {
  return (evaluator, k, _, totals) => {
    k.forEach((at, lane) => evaluator.define(results[0]!, at, totals[lane]!));
    writeResults(evaluator, results, isKept, places, k);
  };
}

/** Adds a reduction to a kernel. */
export function addReduction(
  kernel: KernelBuilder,
  source: Source,
  plan: ReductionPlan,
  done: Finish,
  { places, results, wide }: { places: Places; results: readonly Tensor[]; wide: boolean },
): void {
  if (plan.kept === 0) return;
  const scope = new Scope(kernel, wide);
  const evaluator = new Evaluator(apart(places, results), scope);
  if (source.operation === "max") kernel.helpers.add("maximum");
  if (plan.layout === "rows") addRows(scope, evaluator, source, plan, done);
  else addColumns(scope, evaluator, source, plan, done);
  kernel.section(plan.blocks, scope.lines);
}

function combine({ operation, dtype }: Source, a: string, b: string): string {
  if (operation === "max") return `maximum(${a}, ${b})`;
  return elementType(dtype).value === "int" ? `(int)((unsigned)${a} + (unsigned)${b})` : `${a} + ${b}`;
}

function identity({ operation, dtype }: Source): string {
  const isInt = elementType(dtype).value === "int";
  if (operation === "sum") return isInt ? "0" : "0.0f";
  return isInt ? "(-2147483647 - 1)" : "__int_as_float(0xff800000)";
}

/** Declares a number with its range; a range of one number needs no variable. */
function declare(scope: Scope, prefix: string, code: string, count: number): Linear {
  if (count <= 1) return zero;
  const name = scope.kernel.fresh(prefix);
  scope.lines.push(`const ${scope.indexType} ${name} = ${code};`);
  return variable(name, 0, count - 1);
}

/** Reads and adds up steps `first`, `first + stride`, … of a part, in as many accumulators as there are lanes. */
function addLoop(
  scope: Scope,
  evaluator: Evaluator,
  source: Source,
  plan: ReductionPlan,
  {
    first,
    stride,
    part,
    valid,
    k,
    r,
  }: {
    first: Linear;
    stride: number;
    part: Linear;
    valid: string;
    k: (step: Linear) => readonly Linear[];
    r: (step: Linear) => readonly Linear[];
  },
): string[] {
  const { lines, kernel } = scope;
  const { value } = elementType(source.dtype);
  const all = plan.layout === "rows" ? plan.reduced / plan.lanes : plan.reduced;
  const name = kernel.fresh("a");
  const totals = Array.from({ length: plan.lanes }, (_, lane) =>
    plan.lanes === 1 ? name : `${name}${"xyzw"[lane]}`,
  );
  lines.push(`${value} ${totals.map((total) => `${total} = ${identity(source)}`).join(", ")};`);
  const step = kernel.fresh("s");
  const at = variable(step, 0, Math.max(0, all - 1));
  const body = scope.inner();
  evaluator.code.within(body, () => {
    const values = source.read(evaluator, k(at), r(at));
    values.forEach((v, lane) => body.lines.push(`${totals[lane]} = ${combine(source, totals[lane]!, v)};`));
  });
  const start = scope.index(plus(first, part, plan.steps));
  const end =
    plan.parts === 1
      ? String(all)
      : `min((${scope.indexType})(${scope.index(plus(times(part, plan.steps), one, plan.steps))}), (${scope.indexType})${all})`;
  // Several loads are under way at a time, unless a step is much work by itself.
  const turns = Math.ceil(plan.steps / stride);
  const unrolled = body.lines.length <= UNROLLED_LINES_MAX ? Math.min(turns, UNROLL_MAX) : 1;
  const loop = [
    ...(unrolled > 1 ? [`#pragma unroll ${unrolled}`] : []),
    `for (${scope.indexType} ${step} = ${start}, end = ${end}; ${step} < end; ${step} += ${stride}) {`,
    ...body.lines.map((line) => `  ${line}`),
    "}",
  ];
  lines.push(...(valid === "" ? loop : [`if (${valid}) {`, ...loop.map((line) => `  ${line}`), "}"]));
  return totals;
}

function addRows(
  scope: Scope,
  evaluator: Evaluator,
  source: Source,
  plan: ReductionPlan,
  done: Finish,
): void {
  const { lines, kernel } = scope;
  const { kept, width, lanes, parts } = plan;
  const { value } = elementType(source.dtype);
  const rowsPerBlock = BLOCK_THREADS / width;
  const rowBlocks = plan.blocks / parts;
  const part = declare(scope, "part", `block / ${rowBlocks}`, parts);
  const blockOfPart = parts > 1 ? `block % ${rowBlocks}` : "block";
  const lane = declare(
    scope,
    "lane",
    width === BLOCK_THREADS ? "threadIdx.x" : `threadIdx.x % ${width}`,
    width,
  );
  const row = declare(
    scope,
    "row",
    width === BLOCK_THREADS
      ? blockOfPart
      : `(${scope.indexType})(${blockOfPart}) * ${rowsPerBlock} + threadIdx.x${width === 1 ? "" : ` / ${width}`}`,
    width === BLOCK_THREADS ? kept : Math.max(kept, 2),
  );
  const valid = width === BLOCK_THREADS || kept % rowsPerBlock === 0 ? "" : `${scope.index(row)} < ${kept}`;
  // A row beyond the last is never read or written: its number may be taken to be one of the others.
  const k = kept === 1 ? zero : row;
  const totals = addLoop(scope, evaluator, source, plan, {
    first: lane,
    stride: width,
    part,
    valid,
    k: () => Array.from({ length: lanes }, () => k),
    r: (step) => lanesFrom(step, lanes),
  });
  const total = kernel.fresh("t");
  const [x, y, z, w] = totals;
  const sum =
    lanes === 1 ? x! : combine(source, paren(combine(source, x!, y!)), paren(combine(source, z!, w!)));
  lines.push(`${value} ${total} = ${sum};`);
  const fold = (threads: number) => {
    for (let o = threads / 2; o >= 1; o /= 2) {
      lines.push(`${total} = ${combine(source, total, `__shfl_xor_sync(0xffffffffu, ${total}, ${o})`)};`);
    }
  };
  fold(Math.min(width, WARP));
  if (width === BLOCK_THREADS) {
    const warps = BLOCK_THREADS / WARP;
    kernel.sharedBytes = Math.max(kernel.sharedBytes, warps * 4);
    lines.push(
      `if (threadIdx.x % ${WARP} == 0) ((${value}*)shared)[threadIdx.x / ${WARP}] = ${total};`,
      "__syncthreads();",
      `${total} = ((${value}*)shared)[threadIdx.x % ${warps}];`,
    );
    fold(warps);
  }
  const last = scope.inner();
  evaluator.code.within(last, () => done(evaluator, [k], part, [total]));
  const conditions = [...(width > 1 ? [`${scope.index(lane)} == 0`] : []), ...(valid === "" ? [] : [valid])];
  addBlock(lines, conditions.join(" && "), last.lines);
}

function addColumns(
  scope: Scope,
  evaluator: Evaluator,
  source: Source,
  plan: ReductionPlan,
  done: Finish,
): void {
  const { lines, kernel } = scope;
  const { kept, width, lanes, parts } = plan;
  const { value } = elementType(source.dtype);
  const columns = kept / lanes;
  const columnBlocks = plan.blocks / parts;
  const height = BLOCK_THREADS / width;
  const part = declare(scope, "part", `block / ${columnBlocks}`, parts);
  const blockOfPart = parts > 1 ? `block % ${columnBlocks}` : "block";
  const y = declare(scope, "y", width === 1 ? "threadIdx.x" : `threadIdx.x / ${width}`, height);
  const x = width === 1 ? "" : ` + threadIdx.x % ${width}`;
  const column = declare(scope, "column", `(${scope.indexType})(${blockOfPart}) * ${width}${x}`, columns);
  const valid =
    columns % width === 0
      ? ""
      : `${columns === 1 ? `threadIdx.x % ${width}` : scope.index(column)} < ${columns}`;
  const k = lanesFrom(column, lanes);
  const totals = addLoop(scope, evaluator, source, plan, {
    first: y,
    stride: height,
    part,
    valid,
    k: () => k,
    r: (step) => Array.from({ length: lanes }, () => step),
  });
  if (height > 1) {
    const name = kernel.fresh("tile");
    kernel.sharedBytes = Math.max(kernel.sharedBytes, BLOCK_THREADS * lanes * 4);
    lines.push(`${value}* const ${name} = (${value}*)shared + threadIdx.x;`);
    const slot = (lane: number, row: string) =>
      `${name}[${[`${lane * BLOCK_THREADS}`, row].filter((s) => s !== "0").join(" + ") || "0"}]`;
    lines.push(totals.map((total, lane) => `${slot(lane, "0")} = ${total};`).join(" "), "__syncthreads();");
    const step = kernel.fresh("h");
    lines.push(
      `for (int ${step} = ${height / 2}; ${step} > 0; ${step} /= 2) {`,
      `  if (${scope.index(y)} < ${step}) {`,
      ...totals.map(
        (total, lane) =>
          `    ${slot(lane, "0")} = ${total} = ${combine(source, total, slot(lane, `${width} * ${step}`))};`,
      ),
      "  }",
      "  __syncthreads();",
      "}",
    );
  }
  const last = scope.inner();
  evaluator.code.within(last, () => done(evaluator, k, part, totals));
  const conditions = [...(height > 1 ? [`${scope.index(y)} == 0`] : []), ...(valid === "" ? [] : [valid])];
  addBlock(lines, conditions.join(" && "), last.lines);
}

function paren(code: string): string {
  return code.includes(" ") && !code.endsWith(")") ? `(${code})` : code;
}

function addBlock(lines: string[], condition: string, body: readonly string[]): void {
  lines.push(`${condition === "" ? "" : `if (${condition}) `}{`, ...body.map((line) => `  ${line}`), "}");
}
