/**
 * @file GPU time of queued work, by events on the device's stream: tasks take turns, so that clocks that move with
 * heat and power fall on all of them alike.
 */
import { type CudaDevice, CudaEvent } from "../targets/cuda/index.ts";

/** Queues work on the device's stream and returns at once. `call` counts from 0 over all calls of the task. */
export type GpuTask = (call: number) => void;

/** How long to time. */
export interface Sampling {
  /** Samples of each task. */
  readonly rounds: number;
  /** Milliseconds of GPU work that a sample should have. */
  readonly sampleMs: number;
}

/** Most calls in one sample: more would only fill the queue. */
const CALLS_MAX = 400;

/** Times stretches of work on a device's stream. */
export class GpuTimer implements Disposable {
  readonly #device: CudaDevice;
  readonly #start: CudaEvent;
  readonly #end: CudaEvent;

  constructor(device: CudaDevice) {
    this.#device = device;
    this.#start = new CudaEvent(device.context, { timing: true });
    this.#end = new CudaEvent(device.context, { timing: true });
  }

  /** Milliseconds from the start of the first to the end of the last work that `queue` puts on the stream. */
  async milliseconds(queue: () => void): Promise<number> {
    const { stream } = this.#device;
    this.#start.record(stream);
    queue();
    this.#end.record(stream);
    await this.#end.done();
    return this.#end.elapsedMs(this.#start);
  }

  /**
   * Times tasks in turn.
   * @returns median milliseconds of a call of each task
   */
  async interleave({ rounds, sampleMs }: Sampling, tasks: readonly GpuTask[]): Promise<number[]> {
    const turns = tasks.map(() => 0);
    const sample = async (task: number, calls: number) => {
      const milliseconds = await this.milliseconds(() => {
        for (let i = 0; i < calls; i++) tasks[task]!(turns[task]!++);
      });
      return milliseconds / calls;
    };
    const calls: number[] = [];
    for (const task of tasks.keys()) {
      await sample(task, 2);
      const estimate = await sample(task, 4);
      calls.push(Math.min(CALLS_MAX, Math.max(1, Math.ceil(sampleMs / Math.max(1e-4, estimate)))));
    }
    const times = tasks.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const task of tasks.keys()) times[task]!.push(await sample(task, calls[task]!));
    }
    return times.map((values) => values.toSorted((a, b) => a - b)[values.length >> 1]!);
  }

  [Symbol.dispose](): void {
    this.#start.dispose();
    this.#end.dispose();
  }
}
