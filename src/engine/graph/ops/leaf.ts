/** @file Leaves of a graph: inputs fed each run, named states that live on the device, constants, random numbers. */
import { allocate, checkHostArray, type DType, type TypedArray } from "../../../base/dtype.ts";
import { elementOf } from "../../../base/half.ts";
import { sizeOf, type Shape } from "../../../base/shape.ts";
import { apply, requireDtype, requireRank, type OpDefinition, type Tensor } from "../node.ts";

const inputOp: OpDefinition<"input"> = { name: "input", infer: (_, attrs) => [attrs] };
const stateOp: OpDefinition<"state"> = { name: "state", infer: (_, attrs) => [attrs] };
const constantOp: OpDefinition<"constant"> = { name: "constant", infer: (_, attrs) => [attrs] };
const randomOp: OpDefinition<"random"> = {
  name: "random",
  infer: ([key], attrs) => {
    requireDtype("random", key!, "int32");
    requireRank("random", key!, 1);
    return [{ shape: attrs.shape, dtype: "float32" }];
  },
};

/** A tensor fed on every run, by name. */
export function input(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  return apply(inputOp, [], { name, shape, dtype });
}

/** A named buffer that lives on the device between runs and that a program may update. */
export function state(name: string, shape: Shape, dtype: DType = "float32"): Tensor {
  return apply(stateOp, [], { name, shape, dtype });
}

/**
 * A tensor of fixed values.
 * @param data row-major; bit patterns for 16-bit floats (see `encodeHalf`)
 * @throws ParetoError `DTYPE_HOST_ARRAY` or `SHAPE_HOST_ARRAY` when the array does not fit shape and dtype.
 */
export function constant(data: TypedArray, shape: Shape, dtype: DType = "float32"): Tensor {
  checkHostArray("constant", data, dtype, sizeOf(shape));
  return apply(constantOp, [], { data, shape, dtype });
}

/** A tensor of one value everywhere. A number is stored once and broadcast by its consumers when `shape` is []. */
export function full(shape: Shape, value: number, dtype: DType = "float32"): Tensor {
  return constant(allocate(dtype, sizeOf(shape)).fill(elementOf(value, dtype)), shape, dtype);
}

/** A scalar with the element type of `like`. */
export function scalarLike(like: Tensor, value: number): Tensor {
  return full([], value, like.dtype);
}

/**
 * Uniform float32 in [0, 1) from Philox4x32-10, the same on every target.
 * @param key int32 `[4]`: seed low, seed high, stream, step. Element i is word i mod 4 of the block whose counter
 * is (i div 4, 0, stream, step) under the key (seed low, seed high).
 */
export function random(key: Tensor, shape: Shape): Tensor {
  return apply(randomOp, [key], { shape });
}
