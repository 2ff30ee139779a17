/**
 * @file Where the time of a DLRM training step goes on a GPU: each step of the dense program (forward, backward, SGD; no
 * tables) by itself, slowest first, beside the rate of a copy on the same device.
 */
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import type { Precision } from "../../src/engine/program.ts";
import { Rng } from "../../src/base/rng.ts";
import { CudaDevice, printPlan, type Step } from "../../src/engine/targets/cuda/index.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { traceStep } from "../../src/nn/training/traceStep.ts";
import { ctrLoss } from "../../src/recsys/models/denseModel.ts";
import type { GpuRates } from "../harness/gpuRates.ts";
import type { BenchRow } from "../harness/rows.ts";
import { cardinalities, DIM, kaggleBatch, model } from "../recsys/kaggle.ts";

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

/** What to profile. */
export interface DlrmProfileOptions {
  batchSize: number;
  precision: Precision;
  /** Prints the steps in order first. */
  plan: boolean;
  /** Prints the code of their kernels too. */
  source: boolean;
  rates: GpuRates;
}

/** A row for the whole step, and one for each of its parts; the plan as lines where it is asked for. */
export async function profileDlrm({
  batchSize: size,
  precision,
  plan,
  source,
  rates,
}: DlrmProfileOptions): Promise<{ rows: BenchRow[]; tables: string[] }> {
  const device = await CudaDevice.open({ precision });
  try {
    const states = { parameters: new Parameters(1), optimizerState: new Parameters(1) };
    const program = await device.compile(
      traceStep(ctrLoss(model, { batchSize: size }, true), { optimizer: { kind: "sgd" } }, states),
    );
    await states.parameters.create(device);
    await states.optimizerState.create(device);
    const rng = new Rng(3);
    const { dense, labels } = kaggleBatch(rng, { size, rows: cardinalities.map(() => 2) });
    const rows = new Float32Array(size * cardinalities.length * DIM).map(() => 0.1 * (2 * rng.uniform() - 1));
    await program.run({
      dense,
      rows,
      labels,
      weights: new Float32Array(size).fill(1),
      learningRate: Float32Array.of(1e-3),
      step: Float32Array.of(1),
    });
    using timer = new GpuTimer(device);
    const [whole] = await timer.interleave({ rounds: 15, sampleMs: 5 }, [() => program.replay()]);
    const { steps } = program.plan;
    const timed = program.profile(20).map((found, i) => ({ ...found, ...workOf(steps[i]!) }));
    const sum = timed.reduce((total, { milliseconds }) => total + milliseconds, 0);
    const copy = rates.bandwidth / 1e9;
    const sorted = timed.toSorted((a, b) => b.milliseconds - a.milliseconds);
    return {
      tables: plan || source ? [printPlan(program.plan, { withCode: source })] : [],
      rows: [
        {
          case: "DLRM step",
          size: `batch ${size}, ${precision}`,
          milliseconds: whole!,
          figure: `${whole!.toFixed(4)} ms a replay`,
          limit: `${sum.toFixed(4)} ms, its ${timed.length} parts by themselves`,
          ratio: sum / whole!,
          target: "",
          met: null,
        },
        ...sorted.map(({ label, milliseconds, bytes, flop }) => {
          const rate = bytes / milliseconds / 1e6;
          const work = flop > 0 ? `, ${(flop / milliseconds / 1e9).toFixed(1)} TFLOP/s` : "";
          return {
            case: label,
            size: `${((100 * milliseconds) / sum).toFixed(1)} % of the parts`,
            milliseconds,
            figure: `${rate.toFixed(0)} GB/s${work}`,
            limit: `${copy.toFixed(0)} GB/s of memory`,
            ratio: rate / copy,
            target: "",
            met: null,
          };
        }),
      ],
    };
  } finally {
    await device.dispose();
  }
}
