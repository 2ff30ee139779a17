/**
 * @file Code of sums and maxima along any axes, with the elementwise work before and after them.
 *
 * The kept axes make up a number k, the reduced ones a number r. Where the innermost axis is reduced, a group of
 * threads walks along the r of one k ("rows"); where it is kept, neighbouring threads take neighbouring k and walk
 * down r ("columns"). Both read memory in order. When there are too few k to occupy the GPU, the r are split into
 * parts: one kernel reduces each part, a second one the parts. Orders of addition are fixed by the shapes alone.
 */
import type { DType } from "../../../dtype.ts";
import type { Node, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../shape.ts";
import type { BufferView } from "../plan.ts";
import { elementType } from "./elementTypes.ts";
import { Evaluator, lanesFrom, type Places } from "./evaluator.ts";
import { BLOCK_THREADS, Scope, type KernelBuilder } from "./kernelBuilder.ts";
import { fixed, flatten, plus, times, unflatten, variable, type Linear } from "./linear.ts";
import { apart, writeResults } from "./pointwise.ts";

const zero = fixed(0);
const one = fixed(1);
const WARP = 32;
/** Blocks wanted for each multiprocessor. */
const BLOCKS_PER_MULTIPROCESSOR = 6;
/** Elements that a thread adds at least before the rest is split off. */
const ELEMENTS_PER_THREAD_MIN = 8;
/** The same in rows, down columns. */
const ROWS_PER_THREAD_MIN = 4;
/** So many rows are not split into parts: a block adds them up in a few steps. */
const NARROW_ROWS_MAX = 1024;
/** Steps of a loop written out one after the other. */
const UNROLL_MAX = 8;
const UNROLLED_LINES_MAX = 24;
/** Steps of a warp beyond which a whole block takes a row. */
const WARP_STEPS_MAX = 16;

/** How a reduction is laid out over threads. */
export interface ReductionPlan {
  readonly kept: number;
  readonly reduced: number;
  readonly layout: "rows" | "columns";
  /** Neighbouring elements that a thread takes at once. */
  readonly lanes: 1 | 4;
  /** Threads along r in rows, along k in columns. */
  readonly width: number;
  /** Parts of r. */
  readonly parts: number;
  readonly blocks: number;
  /** Steps of r (of `lanes` elements in rows) in a part. */
  readonly steps: number;
}

/** A reduction whose elements come from the graph, or from the parts of another. */
interface Source {
  readonly dtype: DType;
  readonly operation: "sum" | "max";
  /** Reads the elements of several (k, r). */
  read(evaluator: Evaluator, k: readonly Linear[], r: readonly Linear[]): string[];
}

function powerOfTwoFrom(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(1, n)));
}

/** Lays out a reduction of `reduced` elements to each of `kept`. */
function layOut(
  kept: number,
  reduced: number,
  layout: "rows" | "columns",
  multiprocessors: number,
  mayBeSplit: boolean,
): ReductionPlan {
  const wanted = BLOCKS_PER_MULTIPROCESSOR * multiprocessors;
  if (layout === "rows") {
    const lanes = reduced % 4 === 0 ? 4 : 1;
    const steps = reduced / lanes;
    const isLong = steps > WARP * WARP_STEPS_MAX || (steps > 2 * WARP && kept < wanted);
    const width = isLong ? BLOCK_THREADS : Math.min(WARP, powerOfTwoFrom(steps));
    const blocks = Math.ceil((kept * width) / BLOCK_THREADS);
    const most = Math.floor(steps / (width * (ELEMENTS_PER_THREAD_MIN / lanes)));
    const parts =
      mayBeSplit && 2 * blocks <= wanted ? Math.max(1, Math.min(Math.ceil(wanted / blocks), most)) : 1;
    return finish({ kept, reduced, layout, lanes, width }, steps, parts, blocks);
  }
  const lanes = kept % 4 === 0 ? 4 : 1;
  const columns = kept / lanes;
  // Few columns, or few rows: narrow blocks are more, and each has more threads along r.
  const isNarrow = Math.ceil(columns / WARP) < multiprocessors && (!mayBeSplit || reduced <= NARROW_ROWS_MAX);
  const width = Math.min(isNarrow ? WARP / 4 : WARP, powerOfTwoFrom(columns));
  const blocks = Math.ceil(columns / width);
  const most = Math.floor(reduced / ((BLOCK_THREADS / width) * ROWS_PER_THREAD_MIN));
  const parts =
    mayBeSplit && 2 * blocks <= wanted ? Math.max(1, Math.min(Math.ceil(wanted / blocks), most)) : 1;
  return finish({ kept, reduced, layout, lanes, width }, reduced, parts, blocks);
}

function finish(
  plan: Omit<ReductionPlan, "parts" | "blocks" | "steps">,
  all: number,
  parts: number,
  blocks: number,
): ReductionPlan {
  const steps = Math.ceil(all / parts);
  const filled = Math.max(1, Math.ceil(all / Math.max(1, steps)));
  return { ...plan, steps, parts: filled, blocks: blocks * filled };
}

/** Axes of an operand that a reduction keeps and reduces, without those of length 1. */
function axesOf(node: Node<"sum" | "max">): { kept: number[]; reduced: number[] } {
  const { shape } = node.inputs[0]!;
  const long = shape.flatMap((n, axis) => (n === 1 ? [] : [axis]));
  return {
    kept: long.filter((axis) => !node.attrs.axes.includes(axis)),
    reduced: long.filter((axis) => node.attrs.axes.includes(axis)),
  };
}

/** Lays out a reduction op. */
export function planReduction(node: Node<"sum" | "max">, multiprocessors: number): ReductionPlan {
  const { shape } = node.inputs[0]!;
  const { kept, reduced } = axesOf(node);
  const size = (axes: readonly number[]) => sizeOf(axes.map((axis) => shape[axis]!));
  const layout = (reduced.at(-1) ?? -1) > (kept.at(-1) ?? -1) ? "rows" : "columns";
  return layOut(size(kept), size(reduced), layout, multiprocessors, true);
}

/** What is left to do after the parts: one row of parts for each k. */
export function planParts({ kept, parts }: ReductionPlan, multiprocessors: number): ReductionPlan {
  return layOut(kept, parts, "columns", multiprocessors, false);
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
      evaluator.read(
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
    evaluator.store(
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
  kernel.piece(plan.blocks, scope.lines);
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
  evaluator.within(body, () => {
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
  evaluator.within(last, () => done(evaluator, [k], part, [total]));
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
  evaluator.within(last, () => done(evaluator, k, part, totals));
  const conditions = [...(height > 1 ? [`${scope.index(y)} == 0`] : []), ...(valid === "" ? [] : [valid])];
  addBlock(lines, conditions.join(" && "), last.lines);
}

function paren(code: string): string {
  return code.includes(" ") && !code.endsWith(")") ? `(${code})` : code;
}

function addBlock(lines: string[], condition: string, body: readonly string[]): void {
  lines.push(`${condition === "" ? "" : `if (${condition}) `}{`, ...body.map((line) => `  ${line}`), "}");
}
