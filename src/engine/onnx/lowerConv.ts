/** @file conv1d and its two gradients as ONNX Conv and ConvTranspose. */
import type { Node } from "../graph/node.ts";
import type { Conv1dAttrs } from "../graph/opAttrs.ts";
import type { OnnxBuilder } from "./builder.ts";

function attributes({ stride, dilation, padding, groups }: Conv1dAttrs, kernel: number) {
  return {
    strides: [stride],
    dilations: [dilation],
    pads: [...padding],
    group: groups,
    kernel_shape: [kernel],
  };
}

/** x `[B, C, T]`, w `[O, C/G, K]` → Conv. */
export function lowerConv1d(b: OnnxBuilder, { inputs, attrs }: Node<"conv1d">, names: string[]): string {
  return b.op("Conv", names, attributes(attrs, inputs[1]!.shape[2]!));
}

/** g `[B, O, T′]`, w `[O, C/G, K]` → ConvTranspose, padded to the input's length where the stride skipped its end. */
export function lowerConv1dInputGradient(
  b: OnnxBuilder,
  { inputs: [g, w], attrs }: Node<"conv1dInputGradient">,
  names: string[],
): string {
  const { stride, dilation, padding, inputLength } = attrs;
  const kernel = w!.shape[2]!;
  const reached = stride * (g!.shape[2]! - 1) + dilation * (kernel - 1) + 1;
  const whole = b.op("ConvTranspose", names, { ...attributes(attrs, kernel), pads: [0, 0] });
  const missing = Math.max(0, padding[0] + inputLength - reached);
  const padded =
    missing === 0 ? whole : b.op("Pad", [whole, b.int64s([0, 0, 0, 0, 0, missing])], { mode: "constant" });
  const [start, end] = [padding[0], padding[0] + inputLength];
  return b.op("Slice", [padded, b.int64s([start]), b.int64s([end]), b.int64s([2]), b.int64s([1])]);
}

/**
 * The kernel's gradient is a convolution of x with g over the batch, stride and dilation changing places:
 * x as `[C/G, G·B, T]`, g as kernel `[O, B, T′]` → `[C/G, O, ≥ K]`, cut and transposed.
 */
export function lowerConv1dKernelGradient(
  b: OnnxBuilder,
  { inputs: [x, g], attrs }: Node<"conv1dKernelGradient">,
  names: string[],
): string {
  const { stride, dilation, padding, groups, kernelLength } = attrs;
  const [batch, channels, length] = x!.shape as [number, number, number];
  const steps = g!.shape[2]!;
  const grouped = b.op("Reshape", [names[0]!, b.int64s([batch, groups, channels / groups, length])]);
  const turned = b.op("Transpose", [grouped], { perm: [2, 1, 0, 3] });
  const data = b.op("Reshape", [turned, b.int64s([channels / groups, groups * batch, length])]);
  const kernel = b.op("Transpose", [names[1]!], { perm: [1, 0, 2] });
  const all = b.op("Conv", [data, kernel], {
    ...attributes({ stride: dilation, dilation: stride, padding, groups }, steps),
  });
  const cut = b.op("Slice", [all, b.int64s([0]), b.int64s([kernelLength]), b.int64s([2]), b.int64s([1])]);
  return b.op("Transpose", [cut], { perm: [1, 0, 2] });
}
