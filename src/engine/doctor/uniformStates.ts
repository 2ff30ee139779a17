/** @file Random inputs made on the device, so that gigabytes of them take no time. */
import type { DType } from "../../base/dtype.ts";
import { trace } from "../graph/graph.ts";
import { cast, mul, sub } from "../graph/ops/elementwise.ts";
import { random, state } from "../graph/ops/leaf.ts";
import type { Shape } from "../../base/shape.ts";
import type { CudaDevice } from "../targets/cuda/index.ts";

/** Creates states of one shape, uniform in [−1, 1) and each different; `seed` makes them others. */
export async function createUniform(
  device: CudaDevice,
  names: readonly string[],
  { shape, dtype, seed = 1 }: { shape: Shape; dtype: DType; seed?: number },
): Promise<void> {
  for (const [stream, name] of names.entries()) {
    await device.createState(name, { shape, dtype });
    const fill = await device.compile(
      trace({ key: { shape: [4], dtype: "int32" } }, ({ key }) => {
        const uniform = sub(mul(random(key, shape), 2), 1);
        return {
          outputs: {},
          updates: [[state(name, shape, dtype), dtype === "float32" ? uniform : cast(uniform, dtype)]],
        };
      }),
    );
    await fill.run({ key: Int32Array.of(seed, 0, stream, 0) });
    await fill.dispose();
  }
}
