/** @file Square matrix products on a GPU through a compiled program: operands, program, and a check in float64. */
import { numbersOf } from "../../base/half.ts";
import { trace } from "../graph/graph.ts";
import { matmul } from "../graph/ops/contraction.ts";
import { state } from "../graph/ops/leaf.ts";
import type { Precision } from "../program.ts";
import type { CudaDevice, CudaProgram } from "../targets/cuda/index.ts";
import { createUniform } from "./uniformStates.ts";

/** A way to multiply. */
export interface MatmulKind {
  readonly name: "f32" | "tf32" | "bf16" | "f16";
  readonly dtype: "float32" | "bfloat16" | "float16";
  /** What the device must be opened with. */
  readonly precision: Precision;
  /** Largest error of an element over √K, operands being uniform in [−1, 1). */
  readonly tolerance: number;
}

/** Every way. Elements are about √K / 3 in size; those of 16 bits are rounded once to 2⁻⁹ or 2⁻¹² of that. */
export const matmulKinds: readonly MatmulKind[] = [
  { name: "bf16", dtype: "bfloat16", precision: "float32", tolerance: 4e-3 },
  { name: "f16", dtype: "float16", precision: "float32", tolerance: 6e-4 },
  { name: "tf32", dtype: "float32", precision: "tf32", tolerance: 1e-3 },
  { name: "f32", dtype: "float32", precision: "float32", tolerance: 1e-5 },
];

const SAMPLES = 16;

/** Products of `sets` different pairs of random operands, `a0 · b0 → c0` and on, all states `[width, width]`. */
export class DeviceMatmuls {
  readonly device: CudaDevice;
  readonly kind: MatmulKind;
  readonly width: number;
  readonly sets: number;
  readonly program: CudaProgram;

  private constructor(
    fields: Pick<DeviceMatmuls, "device" | "kind" | "width" | "sets">,
    program: CudaProgram,
  ) {
    this.device = fields.device;
    this.kind = fields.kind;
    this.width = fields.width;
    this.sets = fields.sets;
    this.program = program;
  }

  /** Makes operands and program, runs it once, and checks elements of the last product. @throws Error when one is wrong */
  static async create(
    device: CudaDevice,
    kind: MatmulKind,
    { width, sets }: { width: number; sets: number },
  ): Promise<DeviceMatmuls> {
    const numbers = Array.from({ length: sets }, (_, set) => set);
    const { dtype } = kind;
    const shape = [width, width];
    const operands = numbers.flatMap((set) => [`a${set}`, `b${set}`]);
    await createUniform(device, operands, { shape, dtype });
    for (const set of numbers) await device.createState(`c${set}`, { shape, dtype });
    const graph = trace({}, () => ({
      outputs: {},
      updates: numbers.map((set) => {
        const [a, b, c] = ["a", "b", "c"].map((name) => state(`${name}${set}`, shape, dtype));
        return [c!, matmul(a!, b!)] as const;
      }),
    }));
    const program = await device.compile(graph);
    await program.run({});
    const matmuls = new DeviceMatmuls({ device, kind, width, sets }, program);
    await matmuls.#check();
    return matmuls;
  }

  /** Floating-point operations of one run. */
  get flop(): number {
    return 2 * this.sets * this.width ** 3;
  }

  async #check(): Promise<void> {
    const { device, kind, width: n, sets } = this;
    const read = async (name: string) => numbersOf(await device.readState(`${name}${sets - 1}`), kind.dtype);
    const [a, b, c] = [await read("a"), await read("b"), await read("c")];
    for (let sample = 0; sample < SAMPLES; sample++) {
      const at = Math.floor(((n * n - 1) * sample) / (SAMPLES - 1));
      const [row, column] = [Math.floor(at / n), at % n];
      let want = 0;
      for (let k = 0; k < n; k++) want += a[row * n + k]! * b[k * n + column]!;
      // Written so that NaN is wrong.
      if (!(Math.abs(c[at]! - want) <= kind.tolerance * Math.sqrt(n))) {
        throw new Error(
          `element ${at} of a ${n}³ ${kind.name} product is wrong: got ${c[at]}, expected ${want}`,
        );
      }
    }
  }
}
