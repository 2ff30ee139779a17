/**
 * @file `pareto/engine`: fits y = w·x + b by gradient descent, as a graph that updates its own states.
 * Run: `npx node examples/library/engine.ts`.
 */
import { add, div, grad, mul, openDevice, state, sub, sum, trace } from "../../src/engine/index.ts";

const x = Float32Array.from({ length: 64 }, (_, i) => i / 32 - 1);
const y = x.map((value) => 3 * value - 2);
const column = { shape: [64], dtype: "float32" } as const;

const graph = trace({ x: column, y: column }, (t) => {
  const [w, b] = [state("w", []), state("b", [])];
  const error = sub(add(mul(w, t.x), b), t.y);
  const loss = div(sum(mul(error, error)), 64);
  const [dw, db] = grad(loss, [w, b]);
  return {
    outputs: { loss },
    updates: [
      [w, sub(w, mul(dw!, 0.5))],
      [b, sub(b, mul(db!, 0.5))],
    ],
  };
});

for (const target of ["reference", "cpu"]) {
  const device = await openDevice(target);
  await device.createState("w", { shape: [], dtype: "float32" });
  await device.createState("b", { shape: [], dtype: "float32" });
  const program = await device.compile(graph);
  for (let step = 0; step < 100; step++) await program.run({ x, y });
  const [w] = await device.readState("w");
  const [b] = await device.readState("b");
  console.log(`${target}: w = ${w!.toFixed(4)}, b = ${b!.toFixed(4)}`);
  await device.dispose();
}
