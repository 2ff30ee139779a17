/**
 * @file Rules of the LSTM's loop and of its gradient: one launch for all steps of two directions. States too wide for
 * a block to hold the recurrent weights run step by step, as the op's decomposition says.
 */
import type { Node, Tensor } from "../../../graph/node.ts";
import { input } from "../../../graph/ops/leaf.ts";
import { sizeOf } from "../../../../base/shape.ts";
import type { BufferView } from "../plan.ts";
import { int32, kernelStep, reads, writes } from "./kernelStep.ts";
import type { LowerContext, LowerRule } from "./lowering.ts";

/** Widest state whose 4H² weights fit into a block: half in 512 threads' registers, half in shared memory. */
const HIDDEN_MAX = 128;
const THREADS_MAX = 512;
/** Directions of a launch. */
const DIRECTIONS_MAX = 2;
/** Rows of the batch that a block may take. */
const ROWS = [1, 2, 4, 8, 12, 16] as const;

/** How a loop is spread over blocks. */
interface Spread {
  readonly rows: number;
  /** Rows that pass through the weights together. */
  readonly group: number;
  /** Chunks of 16 weights that a thread holds in registers: as many as leave it room for the sums of a group. */
  readonly held: number;
  readonly sharedBytes: number;
}

/**
 * Chooses the rows of a block.
 * @param width of what each step multiplies by the weights, in states: 1 for h, 4 for the gates' gradients
 * @returns undefined where no block fits
 */
function spread(
  batch: number,
  directions: number,
  padded: number,
  width: number,
  { multiprocessors, maxSharedBytes }: LowerContext,
): Spread | undefined {
  const threads = 4 * padded;
  const places = multiprocessors * Math.floor(THREADS_MAX / threads);
  let best: Spread | undefined;
  let least = Infinity;
  for (const rows of ROWS) {
    const group = Math.min(rows, 4);
    const held = Math.min(padded / 16, group === 4 ? 4 : 5);
    const rest = (padded / 16 - held) * 16 * threads;
    const sharedBytes = 4 * (rest + 2 * rows * (width * padded + 8) + (rows / group) * threads);
    if (sharedBytes > maxSharedBytes) break;
    const waves = Math.ceil((directions * Math.ceil(batch / rows)) / places);
    // A group costs its products, or the reads of shared memory where it has few, and its cells.
    const cost = waves * ((rows / group) * (Math.max(group, 1.9) + 1) + 0.5);
    if (cost < least) {
      least = cost;
      best = { rows, group, held, sharedBytes };
    }
  }
  return best;
}

/** Operands and results of one direction. */
interface Direction {
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  readonly reverse: boolean;
}

type LoopNode = Node<"lstmScan"> | Node<"lstmScanGradient">;

function directionsOf({ inputs, outputs, attrs }: LoopNode): Direction[] {
  const count = attrs.reverse.length;
  const [operands, results] = [inputs.length / count, outputs.length / count];
  return attrs.reverse.map((reverse, d) => ({
    inputs: inputs.slice(operands * d, operands * (d + 1)),
    outputs: outputs.slice(results * d, results * (d + 1)),
    reverse,
  }));
}

/** Steps, rows of the batch and units of the state. */
function sizesOf(kernel: Kernel, { inputs, outputs }: Direction) {
  const [steps, batch] = outputs[0]!.shape as [number, number];
  const hidden = inputs[kernel.recurrent]!.shape[1]!;
  return { steps, batch, hidden };
}

/** What differs between the loop and its gradient. */
interface Kernel {
  readonly file: "lstmScan" | "lstmScanGradient";
  /** Which operand of a direction the recurrent weights are. */
  readonly recurrent: number;
  /** What each step multiplies by the weights is so many times as wide as the state. */
  readonly width: number;
}

/** Emits launches for directions of one size; whether a kernel fits. */
function emitLoop(kernel: Kernel, directions: readonly Direction[], context: LowerContext): boolean {
  const { steps, batch, hidden } = sizesOf(kernel, directions[0]!);
  if (hidden > HIDDEN_MAX) return false;
  const padded = 16 * Math.ceil(hidden / 16);
  const found = spread(batch, directions.length, padded, kernel.width, context);
  if (!found) return false;
  const { rows, group, held, sharedBytes } = found;
  const threads = 4 * padded;
  // A single direction stands for both; the launch has no blocks of the second.
  const both = [directions[0]!, directions.at(-1)!];
  context.emit(
    kernelStep({
      file: kernel.file,
      defines: { HIDDEN: hidden, PADDED: padded, THREADS: threads, HELD: held, ROWS: rows, GROUP: group },
      about: directions[0]!.outputs[0]!,
      grid: [Math.ceil(batch / rows), directions.length, 1],
      block: [threads, 1, 1],
      sharedBytes,
      arguments: [
        ...both.flatMap(({ inputs, outputs }) => [
          ...inputs.map((t) => reads(context, t)),
          ...outputs.map((t) => writes(context, t)),
        ]),
        int32(directions.reduce((bits, { reverse }, d) => bits | (Number(reverse) << d), 0)),
        int32(steps),
        int32(batch),
      ],
    }),
  );
  return true;
}

/** Emits the steps of the op's decomposition. */
function emitDecomposition(
  { definition }: LoopNode,
  { inputs, outputs, reverse }: Direction,
  context: LowerContext,
): void {
  const leaves = inputs.map(({ shape, dtype }, i) => input(`loop.${i}`, shape, dtype));
  const results = definition.decompose!(leaves, { reverse: [reverse] });
  const bound = new Map(leaves.map((t, i): [Tensor, BufferView] => [t, context.view(inputs[i]!)]));
  const places = outputs.map((t) => context.view(t));
  for (const step of context.lowerBody(results, bound, places)) context.emit(step);
}

function emit(node: LoopNode, kernel: Kernel, context: LowerContext): void {
  const left = directionsOf(node).filter(({ outputs }) => sizeOf(outputs[0]!.shape) > 0);
  while (left.length > 0) {
    const first = left.shift()!;
    const sizes = sizesOf(kernel, first);
    const alike = left.findIndex((other) =>
      Object.entries(sizesOf(kernel, other)).every(([size, n]) => sizes[size as keyof typeof sizes] === n),
    );
    const launched = [first, ...(alike < 0 ? [] : left.splice(alike, DIRECTIONS_MAX - 1))];
    if (!emitLoop(kernel, launched, context)) {
      for (const direction of launched) emitDecomposition(node, direction, context);
    }
  }
}

/** Rule of the LSTM's loop. */
export const lowerLstmScan: LowerRule<"lstmScan"> = (node, context) => {
  emit(node, { file: "lstmScan", recurrent: 1, width: 1 }, context);
};

/** Rule of the gradient of the LSTM's loop. */
export const lowerLstmScanGradient: LowerRule<"lstmScanGradient"> = (node, context) => {
  emit(node, { file: "lstmScanGradient", recurrent: 0, width: 4 }, context);
};
