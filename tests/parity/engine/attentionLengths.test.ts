/** @file Attention over padded sequences: what lies past their ends changes nothing, NaN included. */
import { afterAll, describe, expect, test } from "vitest";
import { backpropagate } from "../../../src/engine/autodiff.ts";
import type { FloatDType } from "../../../src/base/dtype.ts";
import { trace } from "../../../src/engine/graph/graph.ts";
import { input } from "../../../src/engine/graph/ops/leaf.ts";
import { attention } from "../../../src/engine/graph/ops/composite/attention.ts";
import { elementOf, numbersOf } from "../../../src/base/half.ts";
import { Rng } from "../../../src/base/rng.ts";
import type { Shape } from "../../../src/base/shape.ts";
import { devices, hasHalf, tryOpenDevice } from "../../support/engine/devices.ts";
import { randomTensor, type HostTensor } from "../../support/engine/hostTensor.ts";
import { runGraph } from "../../support/engine/runGraph.ts";

const LENGTHS = [70, 5, 0];
const TOKENS = 70;

/** Calls `visit` with the range of the elements of each head past the end of its sequence. */
function eachPadding({ shape }: HostTensor, visit: (start: number, end: number) => void): void {
  const [batch, heads, tokens, width] = shape as [number, number, number, number];
  for (let head = 0; head < batch * heads; head++) {
    const length = LENGTHS[Math.floor(head / heads)]!;
    visit((head * tokens + length) * width, (head + 1) * tokens * width);
  }
}

/** With `value` in place of what lies past the ends of sequences. */
function padded(tensor: HostTensor, value: number): HostTensor {
  const data = tensor.data.slice();
  eachPadding(tensor, (start, end) => data.fill(elementOf(value, tensor.dtype), start, end));
  return { ...tensor, data };
}

/** The numbers past the ends of sequences. */
function padding(tensor: HostTensor): number[] {
  const numbers = numbersOf(tensor.data, tensor.dtype);
  const found: number[] = [];
  eachPadding(tensor, (start, end) => found.push(...numbers.subarray(start, end)));
  return found;
}

const bytesOf = ({ data }: HostTensor) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

function operands(width: number, float: FloatDType, padding: number): Record<string, HostTensor> {
  const make = (seed: number, shape: Shape) =>
    padded(randomTensor(new Rng(seed), shape, float, { low: -2, high: 2 }), padding);
  const [queries, keys] = [
    [3, 4, TOKENS, width],
    [3, 2, TOKENS, width],
  ] as const;
  return {
    q: make(1, queries),
    k: make(2, keys),
    v: make(3, keys),
    g: make(4, queries),
    lengths: { shape: [3], dtype: "int32", data: Int32Array.from(LENGTHS) },
  };
}

const graphOf = (width: number, float: FloatDType) =>
  trace(operands(width, float, 0), ({ q, k, v, g, lengths }) => {
    const out = attention(q!, k!, v!, {
      causal: true,
      lengths: lengths!,
      window: 40,
      alibiSlopes: [0.5, 0.25, 0.125, 0],
    });
    const [dq, dk, dv] = backpropagate([out], [g!], [q!, k!, v!]).map((t) => t!);
    return { outputs: { out, dq: dq!, dk: dk!, dv: dv! } };
  });

describe.each(["reference", ...devices])("%s", async (name) => {
  const device = await tryOpenDevice(name);
  if ("missing" in device) {
    test.skip(`skipped: ${device.missing}`);
    return;
  }
  afterAll(() => device.dispose());

  const floats: FloatDType[] = hasHalf(name) ? ["float32", "float16", "bfloat16"] : ["float32"];
  const widths = name === "cuda" ? [24, 64, 80, 256] : [24];
  test.each(floats.flatMap((float) => widths.map((width) => ({ float, width }))))(
    "NaN past the ends of sequences is never read: $float, width $width",
    async ({ float, width }) => {
      const graph = graphOf(width, float);
      const wanted = await runGraph(device, graph, operands(width, float, 0));
      const got = await runGraph(device, graph, operands(width, float, Number.NaN));
      for (const [output, result] of Object.entries(got)) {
        expect(bytesOf(result).equals(bytesOf(wanted[output]!)), output).toBe(true);
        expect(numbersOf(result.data, result.dtype).every(Number.isFinite), output).toBe(true);
        expect(
          padding(result).every((x) => x === 0),
          output,
        ).toBe(true);
      }
    },
  );
});

describe("attention refuses", () => {
  const q = input("q", [2, 4, 3, 8]);
  const k = input("k", [2, 2, 3, 8]);
  const refusal = (code: string): unknown => expect.objectContaining({ code });

  test.each([0, -1, 1.5])("a window of %s", (window) => {
    expect(() => attention(q, k, k, { window })).toThrow(refusal("ATTENTION_WINDOW"));
  });

  test("slopes of another number of heads", () => {
    expect(() => attention(q, k, k, { alibiSlopes: [1, 0.5] })).toThrow(refusal("SHAPE_ATTENTION"));
  });

  test("lengths of another number of sequences", () => {
    const lengths = input("lengths", [3], "int32");
    expect(() => attention(q, k, k, { lengths })).toThrow(refusal("SHAPE_ATTENTION"));
  });
});
