/**
 * @file `pareto/nn`: a two-layer network learns exclusive or with Adam.
 * Run: `npx node examples/library/nn.ts`.
 */
import { grad, openDevice, reshape, sigmoid, trace } from "../../src/engine/index.ts";
import { binaryCrossEntropyWithLogits, mean, mlp, optimizerUpdates, Parameters } from "../../src/nn/index.ts";

const float32 = (...shape: number[]) => ({ shape, dtype: "float32" as const });
const parameters = new Parameters(1);
const slots = new Parameters(1);
const inputs = { x: float32(4, 2), y: float32(4), learningRate: float32(), step: float32() };

const graph = trace(inputs, (t) => {
  const logits = reshape(mlp(parameters, "mlp", t.x, [16, 1], { linearOutput: true }), [4]);
  const loss = mean(binaryCrossEntropyWithLogits(logits, t.y));
  const weights = parameters.tensors;
  const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
  const updates = optimizerUpdates(adam, slots, weights, grad(loss, weights), t.learningRate, t.step);
  return { outputs: { loss, probability: sigmoid(logits) }, updates };
});

const device = await openDevice("cpu");
await parameters.create(device);
await slots.create(device);
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
