/**
 * @file Where the time of a DLRM training step goes on a GPU: each step of the dense program (forward, backward, SGD; no
 * tables) by itself, slowest first, beside the rates that its bytes and operations come to.
 *
 * Run: `node bench/profileCuda.ts [--batch 16384] [--precision tf32] [--plan] [--source]`. `--plan` prints the steps in
 * order first, `--source` also the code of their kernels.
 */
import { parseArgs } from "node:util";
import { GpuTimer } from "../src/engine/doctor/gpuTimer.ts";
import type { Precision } from "../src/engine/program.ts";
import { Rng } from "../src/base/rng.ts";
import { CudaDevice, printPlan, type Step } from "../src/engine/targets/cuda/index.ts";
import { Parameters } from "../src/nn/parameters.ts";
import { traceTraining } from "../src/recsys/models/denseModel.ts";
import { cardinalities, DIM, kaggleBatch, model } from "./kaggle.ts";

/** Bytes that a step's operands have, and its floating-point operations where it is a matmul. */
function workOf(step: Step): { bytes: number; flop: number } {
  if (step.kind === "copy") return { bytes: 2 * step.bytes, flop: 0 };
  if (step.kind === "clear") return { bytes: step.bytes, flop: 0 };
  if (step.kind === "matmul") {
    const { m, n, k, batch } = step.spec;
    return { bytes: 4 * batch * (m * k + k * n + m * n), flop: 2 * batch * m * n * k };
  }
  const bytes = step.arguments.reduce(
    (sum, argument) =>
      sum + (argument.kind === "buffer" ? argument.bytes * (argument.access === "readWrite" ? 2 : 1) : 0),
    0,
  );
  return { bytes, flop: 0 };
}

const { values } = parseArgs({
  options: {
    batch: { type: "string", default: "16384" },
    precision: { type: "string", default: "float32" },
    plan: { type: "boolean", default: false },
    source: { type: "boolean", default: false },
  },
});
const size = Number(values.batch);
const device = await CudaDevice.open({ precision: values.precision as Precision });
const [parameters, slots] = [new Parameters(1), new Parameters(1)];
const program = await device.compile(traceTraining(model, size, { kind: "sgd" }, parameters, slots, true));
await parameters.create(device);
await slots.create(device);
const rng = new Rng(3);
const { dense, labels } = kaggleBatch(rng, { size, rows: cardinalities.map(() => 2) });
const rows = new Float32Array(size * cardinalities.length * DIM).map(() => 0.1 * (2 * rng.uniform() - 1));
const weights = new Float32Array(size).fill(1);
await program.run({
  dense,
  rows,
  labels,
  weights,
  learningRate: Float32Array.of(1e-3),
  step: Float32Array.of(1),
});
if (values.plan || values.source) console.log(printPlan(program.plan, { withCode: values.source }));
const timer = new GpuTimer(device);
const [whole] = await timer.interleave({ rounds: 15, sampleMs: 5 }, [() => program.replay()]);
timer[Symbol.dispose]();
const { steps } = program.plan;
const timed = program.profile(20).map((found, i) => ({ ...found, ...workOf(steps[i]!) }));
const sum = timed.reduce((total, { milliseconds }) => total + milliseconds, 0);
console.log(
  `batch ${size}, ${values.precision}: ${whole!.toFixed(4)} ms a replay, ${sum.toFixed(4)} ms in ${timed.length} steps by themselves`,
);
for (const { label, milliseconds, bytes, flop } of timed.toSorted(
  (a, b) => b.milliseconds - a.milliseconds,
)) {
  const share = `${((100 * milliseconds) / sum).toFixed(1)} %`;
  const rate = `${(bytes / milliseconds / 1e6).toFixed(0)} GB/s`;
  const work = flop > 0 ? `${(flop / milliseconds / 1e9).toFixed(1)} TFLOP/s` : "";
  console.log(
    `${(1000 * milliseconds).toFixed(1).padStart(8)} µs ${share.padStart(7)} ${rate.padStart(10)} ${work.padStart(14)}  ${label}`,
  );
}
await device.dispose();
