/** @file Kernels of the leaves: inputs, states, constants, and Philox random numbers. */
import { numbersOf } from "../../../base/half.ts";
import { philox } from "../../../base/rng.ts";
import type { KernelTable } from "./kernel.ts";

/** Kernels of the leaves. */
export const leafKernels: KernelTable<"input" | "state" | "constant" | "random"> = {
  input: ({ node, outputs, leafValues }) => outputs[0]!.set(leafValues(node.outputs[0]!)),
  state: ({ node, outputs, leafValues }) => outputs[0]!.set(leafValues(node.outputs[0]!)),
  constant: ({ node, outputs }) => outputs[0]!.set(numbersOf(node.attrs.data, node.attrs.dtype)),
  random: ({ inputs, outputs }) => {
    const [seedLow, seedHigh, stream, step] = [...inputs[0]!].map((word) => word >>> 0);
    const out = outputs[0]!;
    const words = new Uint32Array(4);
    for (let i = 0; i < out.length; i++) {
      if (i % 4 === 0) philox([Math.floor(i / 4), 0, stream!, step!], [seedLow!, seedHigh!], words);
      out[i] = (words[i % 4]! >>> 8) * 2 ** -24;
    }
  },
};
