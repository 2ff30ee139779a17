/** @file Kernel of the loop: interprets the body once for each step. */
import { sizeOf } from "../../../base/shape.ts";
import type { KernelTable } from "./kernel.ts";

/** Kernel of scan. */
export const scanKernels: KernelTable<"scan"> = {
  scan: ({ node, inputs, outputs, interpreter }) => {
    const { body, length, reverse } = node.attrs;
    const { parameters, results, constants, carries } = body;
    const step = interpreter(results);
    const loopConstants = inputs.slice(0, constants);
    const sequences = inputs.slice(constants + carries);
    const sliceSizes = parameters.slice(constants + carries).map((t) => sizeOf(t.shape));
    let carried = inputs.slice(constants, constants + carries);
    for (let i = 0; i < length; i++) {
      const t = reverse ? length - 1 - i : i;
      const slices = sequences.map((x, s) => x.subarray(t * sliceSizes[s]!, (t + 1) * sliceSizes[s]!));
      const given = [...loopConstants, ...carried, ...slices];
      const values = new Map(parameters.map((parameter, p) => [parameter, given[p]!]));
      const made = step((leaf) => values.get(leaf)!);
      carried = made.slice(0, carries);
      made.slice(carries).forEach((value, o) => outputs[carries + o]!.set(value, t * value.length));
    }
    carried.forEach((value, c) => outputs[c]!.set(value));
  },
};
