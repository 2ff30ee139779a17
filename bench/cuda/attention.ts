/**
 * @file Fused causal attention in bf16, forward and backward, related to the rate of bf16 products timed in turn.
 *
 * Floating-point operations are those of the products below the diagonal: forward 2 · B·H·T²·D, backward 2.5 times that.
 * Backward is timed as forward and backward in one program, less forward.
 */
import { DeviceMatmuls, matmulKinds } from "../../src/engine/doctor/deviceMatmuls.ts";
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { createUniform } from "../../src/engine/doctor/uniformStates.ts";
import { grad } from "../../src/engine/autodiff.ts";
import { trace } from "../../src/engine/graph/graph.ts";
import type { Tensor } from "../../src/engine/graph/node.ts";
import { cast, mul } from "../../src/engine/graph/ops/elementwise.ts";
import { attention } from "../../src/engine/graph/ops/composite/attention.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { sum } from "../../src/engine/graph/ops/movement.ts";
import { numbersOf } from "../../src/base/half.ts";
import { CudaDevice } from "../../src/engine/targets/cuda/index.ts";
import type { AttentionSize, CudaSizes } from "./sizes.ts";
import { attempt, type BenchRow } from "../harness/rows.ts";

const TARGETS = { forward: 0.4, backward: 0.3 };
const PRODUCT_SETS = 4;
/** Largest ‖got − want‖ / ‖want‖ of a sampled row. */
const TOLERANCE = 0.03;

/** Forward, then backward, of each size. */
export async function* attentionRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const size of sizes.attention) yield* rowsOf(size, sizes);
}

/** Slopes 2^(−8 m / heads), as a model of a power of two heads has them. */
const slopesOf = ({ heads, alibi }: AttentionSize) =>
  alibi ? Array.from({ length: heads }, (_, head) => 2 ** ((-8 * (head + 1)) / heads)) : undefined;

async function* rowsOf(
  attentionSize: AttentionSize,
  sizes: CudaSizes,
): AsyncGenerator<BenchRow, void, undefined> {
  const { batch, heads, tokens, headDim, alibi, passes } = attentionSize;
  const alibiSlopes = slopesOf(attentionSize);
  const attend = (q: Tensor, k: Tensor, v: Tensor) =>
    attention(q, k, v, { causal: true, ...(alibiSlopes && { alibiSlopes }) });
  const shape = [batch, heads, tokens, headDim];
  const device = await CudaDevice.open();
  try {
    using timer = new GpuTimer(device);
    const dtype = "bfloat16";
    await createUniform(device, ["q", "k", "v", "g"], { shape, dtype });
    for (const name of ["out", "dq", "dk", "dv"]) await device.createState(name, { shape, dtype });
    const compile = (updates: (q: Tensor, k: Tensor, v: Tensor) => [string, Tensor][]) =>
      device.compile(
        trace({}, () => {
          const [q, k, v] = ["q", "k", "v"].map((name) => state(name, shape, dtype));
          const changed = updates(q!, k!, v!);
          return {
            outputs: {},
            updates: changed.map(([name, t]) => [state(name, shape, dtype), t] as const),
          };
        }),
      );
    const forward = await compile((q, k, v) => [["out", attend(q, k, v)]]);
    await forward.run({});
    const bf16 = matmulKinds.find(({ name }) => name === "bf16")!;
    const size = { width: sizes.productWidth, sets: PRODUCT_SETS };
    const products = await DeviceMatmuls.create(device, bf16, size);
    const flop = 2 * batch * heads * tokens ** 2 * headDim;
    const row = (
      pass: "forward" | "backward",
      work: number,
      milliseconds: number,
      productMs: number,
    ): BenchRow => {
      const [own, limit] = [work / milliseconds / 1e9, products.flop / productMs / 1e9];
      const target = TARGETS[pass];
      return {
        case: `attention ${pass}`,
        size: `bf16, causal${alibi ? ", ALiBi" : ""}, ${batch} × ${heads} heads of ${headDim}, ${tokens.toLocaleString("en-US")} tokens`,
        milliseconds,
        figure: `${own.toFixed(0)} TFLOP/s`,
        limit: `${limit.toFixed(0)} TFLOP/s, bf16 product of ${sizes.productWidth}³`,
        ratio: own / limit,
        target: `≥ ${target.toFixed(2)}`,
        met: own / limit >= target,
      };
    };
    yield await attempt("attention forward", async () => {
      await checkRows(device, attentionSize, "out");
      const times = await timer.interleave(sizes, [() => products.program.replay(), () => forward.replay()]);
      return row("forward", flop, times[1]!, times[0]!);
    });
    if (!passes.includes("backward")) return;
    yield await attempt("attention backward", async () => {
      const both = await compile((q, k, v) => {
        const out = attend(q, k, v);
        const loss = sum(mul(cast(out, "float32"), cast(state("g", shape, dtype), "float32")));
        const [dq, dk, dv] = grad(loss, [q, k, v]);
        return [
          ["dq", dq!],
          ["dk", dk!],
          ["dv", dv!],
        ];
      });
      await both.run({});
      await checkRows(device, attentionSize, "dq");
      const [productMs, forwardMs, bothMs] = await timer.interleave(sizes, [
        () => products.program.replay(),
        () => forward.replay(),
        () => both.replay(),
      ]);
      return row("backward", 2.5 * flop, bothMs! - forwardMs!, productMs!);
    });
  } finally {
    await device.dispose();
  }
}

/** Compares rows of the output, or of the gradient by q, with float64. @throws Error when one is wrong */
async function checkRows(device: CudaDevice, size: AttentionSize, result: "out" | "dq"): Promise<void> {
  const { batch, heads, tokens: T, headDim: D } = size;
  const slopes = slopesOf(size);
  const read = async (name: string) => numbersOf(await device.readState(name), "bfloat16");
  const [q, k, v, g] = [await read("q"), await read("k"), await read("v"), await read("g")];
  const found = await read(result);
  const last = batch * heads - 1;
  for (const [head, t] of [
    [0, 1],
    [0, T - 1],
    [last >> 1, T >> 1],
    [last, T - 2],
    [last, 63],
  ] as const) {
    const start = head * T * D;
    const at = (s: number) => start + s * D;
    const dot = (a: ArrayLike<number>, from: number, b: ArrayLike<number>, to: number) => {
      let total = 0;
      for (let d = 0; d < D; d++) total += a[from + d]! * b[to + d]!;
      return total;
    };
    const keys = Array.from({ length: t + 1 }, (_, s) => s);
    const slope = slopes?.[head % heads] ?? 0;
    const scores = keys.map((s) => dot(q, at(t), k, at(s)) / Math.sqrt(D) - slope * (t - s));
    const most = scores.reduce((a, b) => Math.max(a, b), -Infinity);
    const exps = scores.map((score) => Math.exp(score - most));
    const total = exps.reduce((a, b) => a + b, 0);
    const weights = exps.map((e) => e / total);
    let factors = weights;
    if (result === "dq") {
      const forWeights = keys.map((s) => dot(g, at(t), v, at(s)));
      const mean = keys.reduce((sum, s) => sum + weights[s]! * forWeights[s]!, 0);
      factors = keys.map((s) => (weights[s]! * (forWeights[s]! - mean)) / Math.sqrt(D));
    }
    const summed = result === "dq" ? k : v;
    let [wrong, whole] = [0, 0];
    for (let d = 0; d < D; d++) {
      const want = keys.reduce((sum, s) => sum + factors[s]! * summed[at(s) + d]!, 0);
      wrong += (found[at(t) + d]! - want) ** 2;
      whole += want ** 2;
    }
    const error = Math.sqrt(wrong / whole);
    // Written so that NaN is wrong.
    if (!(error <= TOLERANCE)) {
      throw new Error(
        `${result} of head ${head}, token ${t} is wrong by ${error} of its size, allowed ${TOLERANCE}`,
      );
    }
  }
}
