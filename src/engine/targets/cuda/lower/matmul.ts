/**
 * @file Matrix products as steps: broadcast leading axes become rows of one matmul, a batch, or several matmuls.
 */
import { dtypeBytes } from "../../../../base/dtype.ts";
import { invariant } from "../../../../base/errors.ts";
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf, type Shape } from "../../../../base/shape.ts";
import type { BufferView, MatmulDType } from "../plan.ts";
import type { LowerContext } from "./lowering.ts";
import type { MatmulMatch } from "./matchMatmuls.ts";
import { lowerMatvec } from "./matvec.ts";

/** Neighbouring leading axes along which each operand either moves or repeats. */
interface AxisGroup {
  length: number;
  movesA: boolean;
  movesB: boolean;
}

/** Emits a matmul and its epilogue into `output`. */
export function lowerMatmul(match: MatmulMatch, output: Tensor, context: LowerContext): void {
  if (match.matvec) return lowerMatvec(match, output, context);
  const { matmul, operands, epilogue } = match;
  const [a, b, bias] = operands as [Tensor, Tensor, Tensor | undefined];
  const { transposeA, transposeB } = matmul.attrs;
  if (sizeOf(output.shape) === 0) return;
  const [rows, k] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const n = output.shape.at(-1)!;
  const groups = axisGroups(
    a.shape.slice(0, -2),
    b.shape.slice(0, -2),
    matmul.outputs[0]!.shape.slice(0, -2),
  );

  // Matrices of `a` that meet one `b` lie below each other: they are rows of one matmul.
  let m = rows;
  const inner = groups.at(-1);
  if (inner && inner.movesA && !inner.movesB && !transposeA) {
    m *= inner.length;
    groups.pop();
  }
  const batched = groups.pop() ?? { length: 1, movesA: false, movesB: false };
  const spec = {
    m,
    n,
    k,
    batch: batched.length,
    strideA: batched.movesA ? m * k : 0,
    strideB: batched.movesB ? n * k : 0,
    strideOut: m * n,
    transposeA,
    transposeB,
    dtype: matmulDtype(a),
    outDtype: matmulDtype(output),
    compute: context.compute,
    epilogue,
  } as const;
  invariant(k > 0, "matmuls without an inner length are folded to constants before they are lowered");
  const label = `matmul${epilogue === "none" ? "" : `+${epilogue}`} [${spec.batch > 1 ? `${spec.batch}, ` : ""}${m}, ${n}] k ${k}`;
  const sizes = {
    a: m * k * (batched.movesA ? batched.length : 1) * dtypeBytes(a.dtype),
    b: n * k * (batched.movesB ? batched.length : 1) * dtypeBytes(b.dtype),
    out: m * n * batched.length * dtypeBytes(output.dtype),
  };
  for (const [atA, atB, at] of places(groups)) {
    context.emit({
      kind: "matmul",
      label,
      spec,
      a: offset(context.view(a), atA * sizes.a),
      b: offset(context.view(b), atB * sizes.b),
      ...(bias && { bias: context.view(bias) }),
      out: offset(context.view(output), at * sizes.out),
    });
  }
}

function axisGroups(a: Shape, b: Shape, out: Shape): AxisGroup[] {
  const groups: AxisGroup[] = [];
  out.forEach((length, axis) => {
    if (length === 1) return;
    const moves = (shape: Shape) => (shape[axis - out.length + shape.length] ?? 1) !== 1;
    const [movesA, movesB] = [moves(a), moves(b)];
    const last = groups.at(-1);
    if (last && last.movesA === movesA && last.movesB === movesB) last.length *= length;
    else groups.push({ length, movesA, movesB });
  });
  return groups;
}

/** Positions of the operands and the result for every combination of the outer groups, in order. */
function places(groups: readonly AxisGroup[]): [a: number, b: number, out: number][] {
  let found: [number, number, number][] = [[0, 0, 0]];
  for (const { length, movesA, movesB } of groups) {
    found = found.flatMap(([a, b, out]) =>
      Array.from({ length }, (_, i): [number, number, number] => [
        movesA ? a * length + i : a,
        movesB ? b * length + i : b,
        out * length + i,
      ]),
    );
  }
  return found;
}

function offset(view: BufferView, bytes: number): BufferView {
  return { buffer: view.buffer, offsetBytes: view.offsetBytes + bytes };
}

function matmulDtype({ dtype }: Tensor): MatmulDType {
  invariant(
    dtype !== "float64" && dtype !== "int32" && dtype !== "bool",
    `a matmul of ${dtype} reaches the GPU`,
  );
  return dtype as MatmulDType;
}
