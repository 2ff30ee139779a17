/**
 * @file What every training step is fed beside its batch: learning rate, step, and the keys of dropout. Several steps may
 * be under way; each has arrays of its own, which are used again when it is done.
 */
import type { Device, HostTensors } from "../../engine/program.ts";
import { dropoutKey } from "../../nn/training/traceStep.ts";
import { hostArrays, type HostArraySpec } from "./hostArrays.ts";

/** When in training a step is. */
export interface StepTime {
  /** 1-based; also decides what is dropped. */
  step: number;
  learningRate: number;
}

/** The arrays of one step. */
export interface StepArrays {
  /** Inputs `learningRate` and `step`. */
  rates: HostTensors;
  /** Inputs with the dropout keys of each part of the batch. */
  keys: HostTensors[];
}

/** Dropout `place` of part p draws from this stream plus 16·p plus `place`, apart from the streams of weights and order. */
const DROPOUT_STREAM = 0x72000000;
const PART_STREAMS = 16;

/** Arrays for the steps of a network. */
export class StepInputs {
  readonly #device: Device;
  readonly #seed: number;
  readonly #dropouts: number;
  readonly #idle: StepArrays[] = [];

  /**
   * @param device whose memory is page-locked, where it has use for that
   * @param seed of dropout
   * @param dropouts of the model
   */
  constructor(device: Device, seed: number, dropouts: number) {
    this.#device = device;
    this.#seed = seed;
    this.#dropouts = dropouts;
  }

  /** Arrays for a step whose batch comes in so many parts, to be given back by {@link release}. */
  acquire({ step, learningRate }: StepTime, parts: number): StepArrays {
    const at = this.#idle.findIndex(({ keys }) => keys.length >= parts);
    const arrays = at < 0 ? this.#create(parts) : this.#idle.splice(at, 1)[0]!;
    arrays.rates["learningRate"]![0] = learningRate;
    arrays.rates["step"]![0] = step;
    const [low, high] = [this.#seed | 0, Math.floor(this.#seed / 2 ** 32) | 0];
    for (const [part, keys] of arrays.keys.entries()) {
      for (let place = 0; place < this.#dropouts; place++) {
        const stream = DROPOUT_STREAM + PART_STREAMS * part + place;
        (keys[dropoutKey(place)] as Int32Array).set([low, high, stream, step]);
      }
    }
    return arrays;
  }

  /** Arrays of a step that is done. */
  release(arrays: StepArrays): void {
    this.#idle.push(arrays);
  }

  #create(parts: number): StepArrays {
    const names = Array.from({ length: this.#dropouts }, (_, place) => dropoutKey(place));
    const keyOf = (part: number, name: string) => `${part} ${name}`;
    const specs: Record<string, HostArraySpec> = {
      learningRate: { dtype: "float32", shape: [] },
      step: { dtype: "float32", shape: [] },
    };
    for (let part = 0; part < parts; part++)
      for (const name of names) specs[keyOf(part, name)] = { dtype: "int32", shape: [4] };
    const arrays = hostArrays(this.#device, specs) as HostTensors;
    return {
      rates: { learningRate: arrays["learningRate"]!, step: arrays["step"]! },
      keys: Array.from({ length: parts }, (_, part) =>
        Object.fromEntries(names.map((name) => [name, arrays[keyOf(part, name)]!])),
      ),
    };
  }
}
