/**
 * @file The trainable states of a model: declared by name while it is traced, created on a device before it runs.
 *
 * Layers ask for a parameter by name and shape and get the same state each time, so a training graph and an
 * evaluation graph traced from one set share weights. Initial values depend on the seed and the name only.
 */
import { ParetoError } from "../base/errors.ts";
import type { Tensor } from "../engine/graph/node.ts";
import { state } from "../engine/graph/ops/leaf.ts";
import type { Device } from "../engine/program.ts";
import { Rng } from "../base/rng.ts";
import { formatShape, sameShape, sizeOf, type Shape } from "../base/shape.ts";
import type { Initializer } from "./initializers.ts";

interface Entry {
  tensor: Tensor;
  initializer: Initializer;
}

/** FNV-1a of a name: the random stream its parameter draws from. */
function streamOf(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** Named float32 states with initial values. */
export class Parameters {
  readonly #seed: number;
  readonly #entries = new Map<string, Entry>();

  /** @param seed of all initial values */
  constructor(seed: number) {
    this.#seed = seed;
  }

  /**
   * The parameter of a name; declared at the first call.
   * @throws ParetoError `NN_PARAMETER_SHAPE` when it was declared with another shape
   */
  get(name: string, shape: Shape, initializer: Initializer): Tensor {
    const known = this.#entries.get(name);
    if (!known) {
      const tensor = state(name, shape);
      this.#entries.set(name, { tensor, initializer });
      return tensor;
    }
    if (!sameShape(known.tensor.shape, shape)) {
      throw new ParetoError({
        code: "NN_PARAMETER_SHAPE",
        where: name,
        message: `parameter "${name}" was declared as ${formatShape(known.tensor.shape)}, got ${formatShape(shape)}`,
        fix: "Give the two layers different names, or the same widths.",
      });
    }
    return known.tensor;
  }

  /** Declared parameters in order of declaration. */
  get tensors(): Tensor[] {
    return [...this.#entries.values()].map((e) => e.tensor);
  }

  /** Names in order of declaration. */
  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Shape of a declared parameter. */
  shapeOf(name: string): Shape {
    return this.#entries.get(name)!.tensor.shape;
  }

  /** Number of elements over all parameters. */
  get size(): number {
    return this.tensors.reduce((n, t) => n + sizeOf(t.shape), 0);
  }

  /** Initial values of a parameter, the same for the same seed and name. */
  initialValues(name: string): Float32Array {
    const { tensor, initializer } = this.#entries.get(name)!;
    const values = new Float32Array(sizeOf(tensor.shape));
    initializer(values, tensor.shape, new Rng(this.#seed, streamOf(name)));
    return values;
  }

  /** Creates every parameter that the device does not have yet. */
  async create(device: Device): Promise<void> {
    for (const [name, { tensor }] of this.#entries) {
      if (!device.states().has(name)) await device.createState(name, tensor, this.initialValues(name));
    }
  }
}

/** Parameters that are declared while something is traced: their names and shapes, with no device. */
export function declaredParameters(trace: (parameters: Parameters) => unknown): Parameters {
  const parameters = new Parameters(0);
  trace(parameters);
  return parameters;
}
