/** @file The elements of a model's state, made of a file's tensors one by one. */
import { allocate, isHalf, type HalfDType, type TypedArray } from "../../base/dtype.ts";
import { encodeHalf, numbersOf } from "../../base/half.ts";
import { sizeOf } from "../../base/shape.ts";
import type { StateSource } from "../models/decoder.ts";
import type { ModelFiles } from "./weights.ts";

/** Tensors of the file, stacked or turned; those that are stored in the wanted type are not converted. */
export async function stateElements(
  files: ModelFiles,
  { shape, from, isTurned }: StateSource,
  dtype: "float32" | HalfDType,
): Promise<TypedArray> {
  const parts: TypedArray[] = [];
  for (const name of from) {
    const { dtype: stored, elements } = await files.readStored(name);
    parts.push(stored === dtype ? elements : converted(numbersOf(elements, stored), dtype));
  }
  const whole = parts.length === 1 ? parts[0]! : stacked(parts, allocate(dtype, sizeOf(shape)));
  return isTurned ? turned(whole, allocate(dtype, whole.length), shape[0]!) : whole;
}

function converted(numbers: TypedArray, dtype: "float32" | HalfDType): TypedArray {
  const floats = numbers instanceof Float32Array ? numbers : Float32Array.from(numbers);
  return isHalf(dtype) ? encodeHalf(dtype, floats) : floats;
}

function stacked(parts: readonly TypedArray[], whole: TypedArray): TypedArray {
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** `[inputs, outputs]` as `[outputs, inputs]`. */
function turned(from: TypedArray, to: TypedArray, outputs: number): TypedArray {
  const inputs = from.length / outputs;
  for (let input = 0; input < inputs; input++) {
    for (let output = 0; output < outputs; output++)
      to[output * inputs + input] = from[input * outputs + output]!;
  }
  return to;
}
