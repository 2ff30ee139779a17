/**
 * @file `pareto/nn`: a two-layer network learns exclusive or with Adam.
 * Run: `npx node examples/library/nn.ts`.
 */
import { openDevice, reshape, sigmoid } from "../../src/engine/index.ts";
import {
  binaryCrossEntropyWithLogits,
  mean,
  mlp,
  Parameters,
  traceStep,
  type LossFunction,
} from "../../src/nn/index.ts";

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });
const exclusiveOr: LossFunction = {
  inputs: { x: float32(4, 2), y: float32(4) },
  apply(parameters, { x, y }) {
    const logits = reshape(mlp(parameters, "mlp", x!, [16, 1], { linearOutput: true }), [4]);
    return {
      loss: mean(binaryCrossEntropyWithLogits(logits, y!)),
      outputs: { probability: sigmoid(logits) },
    };
  },
};

// Forward, backward and update become one graph; tracing it declares the parameters and Adam's moments.
const parameters = new Parameters(1);
const optimizerState = new Parameters(1);
const graph = traceStep(exclusiveOr, { optimizer: { kind: "adam" } }, { parameters, optimizerState });

const device = await openDevice("cpu");
await parameters.create(device);
await optimizerState.create(device);
const program = await device.compile(graph);
const x = Float32Array.of(0, 0, 0, 1, 1, 0, 1, 1);
const y = Float32Array.of(0, 1, 1, 0);
for (let step = 1; step <= 500; step++) {
  const { loss, probability } = await program.run({
    x,
    y,
    learningRate: Float32Array.of(0.02),
    step: Float32Array.of(step),
  });
  if (step % 250 !== 0) continue;
  const shown = [...(probability as Float32Array)].map((p) => p.toFixed(3)).join(" ");
  console.log(`step ${step}: loss ${loss![0]!.toFixed(4)}, probabilities ${shown}`);
}
await device.dispose();
