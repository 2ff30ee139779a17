/**
 * @file Code of pointwise work: tensors of one size, computed by one thread for each element, or for each four
 * neighbours, or eight of 16 bits. Everything is read before anything is written, so that a result may replace what it is computed from.
 */
import { dtypeBytes } from "../../../../base/dtype.ts";
import type { Node, Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../../base/shape.ts";
import { Evaluator } from "./evaluator.ts";
import { BLOCK_THREADS, KernelBuilder, Scope } from "./kernelBuilder.ts";
import { fixed, flatten, plus, unflatten, variable, type Linear } from "./linear.ts";
import { apart, lanesFrom, type Lanes, type Places } from "./places.ts";

/** Below so many elements a thread computes one: spreading out is worth more than wide loads. */
const VECTOR_ELEMENTS_MIN = 4096;
/** Positions from here on need 64 bits. */
const WIDE_ELEMENTS_MIN = 2 ** 31;

/** Whether positions in some tensors need 64 bits. */
export function isWide(tensors: Iterable<Pick<Tensor, "shape">>): boolean {
  for (const { shape } of tensors) if (sizeOf(shape) >= WIDE_ELEMENTS_MIN) return true;
  return false;
}

/** What a thread does for its elements: their numbers as positions. */
type Compute = (evaluator: Evaluator, positions: readonly Linear[]) => void;

/** How many neighbours a thread takes: as many as are mostly read and written at once. */
function lanesFor(size: number, places: Places, compute: Compute): Lanes {
  if (size < VECTOR_ELEMENTS_MIN) return 1;
  let widest = 0;
  const onLoad = (t: Tensor) => {
    if (sizeOf(t.shape) >= size) widest = Math.max(widest, dtypeBytes(t.dtype));
  };
  const kernel = new KernelBuilder();
  const trial = new Evaluator(places, new Scope(kernel, true), onLoad);
  compute(trial, lanesFrom(variable("i", 0, Math.floor(size / 4) - 1), 4));
  const { together, apart } = trial.code.accesses;
  if (together <= apart) return 1;
  return widest <= 2 && kernel.widestWrite <= 2 && size >= 2 * VECTOR_ELEMENTS_MIN ? 8 : 4;
}

/** Adds a section that calls `compute` for `size` elements. */
function addElements(
  kernel: KernelBuilder,
  size: number,
  { places, wide }: { places: Places; wide: boolean },
  compute: Compute,
): void {
  if (size === 0) return;
  const lanes = lanesFor(size, places, compute);
  const whole = Math.floor(size / lanes);
  const rest = size - whole * lanes;
  const outer = new Scope(kernel, wide || size >= WIDE_ELEMENTS_MIN);
  const i = kernel.fresh("i");
  const type = outer.indexType;
  outer.lines.push(`const ${type} ${i} = (${type})block * ${BLOCK_THREADS} + threadIdx.x;`);
  const inner = outer.inner();
  compute(new Evaluator(places, inner), lanesFrom(variable(i, 0, whole - 1), lanes));
  outer.lines.push(`if (${i} < ${whole}) {`, ...inner.lines.map((line) => `  ${line}`), "}");
  if (rest > 0) {
    const last = outer.inner();
    const j = kernel.fresh("i");
    last.lines.push(`const ${type} ${j} = ${i} + ${whole * lanes - whole};`);
    compute(new Evaluator(places, last), [variable(j, whole * lanes, size - 1)]);
    outer.lines[outer.lines.length - 1] = `} else if (${i} < ${whole + rest}) {`;
    outer.lines.push(...last.lines.map((line) => `  ${line}`), "}");
  }
  kernel.section(Math.ceil((whole + rest) / BLOCK_THREADS), outer.lines);
}

/**
 * Computes tensors of one size.
 * @param results in order
 * @param isKept whether a result is written, or only used by those after it
 */
export function addPointwise(
  kernel: KernelBuilder,
  results: readonly Tensor[],
  isKept: (t: Tensor) => boolean,
  places: Places,
  wide: boolean,
): void {
  addElements(
    kernel,
    sizeOf(results[0]!.shape),
    { places: apart(places, results), wide },
    (evaluator, positions) => writeResults(evaluator, results, isKept, places, positions),
  );
}

/** Computes and then writes results at their flat positions. */
export function writeResults(
  evaluator: Evaluator,
  results: readonly Tensor[],
  isKept: (t: Tensor) => boolean,
  places: Places,
  positions: readonly Linear[],
): void {
  const values = results.map((t) => evaluator.at(t, positions));
  results.forEach((t, n) => {
    if (isKept(t)) evaluator.code.store(places.view(t), t, positions, values[n]!);
  });
}

/** Writes the parts of a concat, each into its place; those that lie there already are left out. */
export function addConcat(
  kernel: KernelBuilder,
  node: Node<"concat">,
  isPlaced: (part: number) => boolean,
  places: Places,
  wide: boolean,
): void {
  const out = node.outputs[0]!;
  const { axis } = node.attrs;
  const inside = apart(places, [out]);
  let start = 0;
  node.inputs.forEach((part, n) => {
    const first = start;
    start += part.shape[axis]!;
    if (isPlaced(n)) return;
    addElements(kernel, sizeOf(part.shape), { places: inside, wide }, (evaluator, positions) => {
      const values = evaluator.at(part, positions);
      const to = positions.map((at) => {
        const index = unflatten(at, part.shape);
        return flatten(index.with(axis, plus(index[axis]!, fixed(first))), out.shape);
      });
      evaluator.code.store(places.view(out), out, to, values);
    });
  });
}
