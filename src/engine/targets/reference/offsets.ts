/** @file Where the elements of a strided view lie: the one idea behind broadcasting, movement and reductions. */
import { sizeOf, stridesOf, type Shape } from "../../../base/shape.ts";

/**
 * Flat positions of a view's elements in row-major order: start + Σ indexₖ · strideₖ.
 * @param shape lengths of the view
 * @param strides step of each axis in elements: 0 repeats, negative runs backwards
 */
export function offsets(shape: Shape, strides: readonly number[], start = 0): Int32Array {
  const positions = new Int32Array(sizeOf(shape));
  const index = shape.map(() => 0);
  let position = start;
  for (let i = 0; i < positions.length; i++) {
    positions[i] = position;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      position += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      position -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return positions;
}

/** For each element of `to`, the flat position of the element of `from` that broadcasting puts there. */
export function broadcastOffsets(from: Shape, to: Shape): Int32Array {
  const lead = to.length - from.length;
  const strides = stridesOf(from);
  return offsets(
    to,
    to.map((_, axis) => (axis < lead || from[axis - lead] === 1 ? 0 : strides[axis - lead]!)),
  );
}
