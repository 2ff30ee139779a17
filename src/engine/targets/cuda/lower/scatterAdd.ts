/** @file Rule of adding rows at indices, without atomics: each row of the result gathers its updates. */
import type { Tensor } from "../../../graph/node.ts";
import { sizeOf } from "../../../shape.ts";
import { elementType } from "./axes.ts";
import { bytesOf, elementwise, int32, int64, kernelStep, reads, writes } from "./kernelStep.ts";
import type { LowerRule } from "./lowering.ts";

/** Rule of scatterAdd. */
export const lowerScatterAdd: LowerRule<"scatterAdd"> = ({ inputs, outputs }, context) => {
  const [updates, indices] = inputs as [Tensor, Tensor];
  const y = outputs[0]!;
  const size = sizeOf(y.shape);
  if (size === 0) return;
  const count = sizeOf(indices.shape);
  if (count === 0) {
    context.emit({ kind: "clear", to: context.view(y), bytes: bytesOf(y) });
    return;
  }
  context.emit(
    kernelStep({
      file: "scatterAdd",
      defines: { ELEMENT: elementType(updates) },
      about: updates,
      ...elementwise(size),
      arguments: [
        reads(context, updates),
        reads(context, indices),
        writes(context, y),
        int32(count),
        int32(sizeOf(y.shape.slice(1))),
        int64(size),
      ],
    }),
  );
};
