/**
 * @file How long a stream is at work: each piece of work that is put on it is put between two timing events, and the
 * times between them are summed. What the GPU waits for within a piece, such as the start of a replayed graph, counts
 * as work; copies on other streams do not.
 *
 * The events cost the thread time, so rates are measured without them.
 */
import {
  CapturedGraph,
  type CudaDevice,
  CudaEvent,
  type Stream,
} from "../../src/engine/targets/cuda/index.ts";

const WORK = ["launch", "copyToDevice", "copyToHost", "copyOnDevice", "clear"] as const;

/** Watches the stream of a device from its making until it is disposed of. */
export class BusyMeter implements Disposable {
  readonly #device: CudaDevice;
  readonly #events: [CudaEvent, CudaEvent][] = [];
  readonly #launchGraph = CapturedGraph.prototype.launch;
  #isRecording = false;

  constructor(device: CudaDevice) {
    this.#device = device;
    const { stream } = device;
    const between = (work: () => void) => this.#between(work);
    const launchGraph = this.#launchGraph;
    CapturedGraph.prototype.launch = function (this: CapturedGraph, on: Stream) {
      if (on === stream) between(() => launchGraph.call(this, on));
      else launchGraph.call(this, on);
    };
    for (const name of WORK) {
      const work = stream[name].bind(stream) as (...args: unknown[]) => void;
      Object.defineProperty(stream, name, {
        configurable: true,
        value: (...args: unknown[]) => between(() => work(...args)),
      });
    }
    const capture = stream.capture.bind(stream);
    Object.defineProperty(stream, "capture", {
      configurable: true,
      value: (record: () => void) => {
        this.#isRecording = true;
        try {
          return capture(record);
        } finally {
          this.#isRecording = false;
        }
      },
    });
  }

  /** Milliseconds of work so far; waits for the last. */
  async milliseconds(): Promise<number> {
    await this.#events.at(-1)?.[1].done();
    return this.#events.reduce((sum, [start, end]) => sum + end.elapsedMs(start), 0);
  }

  [Symbol.dispose](): void {
    CapturedGraph.prototype.launch = this.#launchGraph;
    for (const name of [...WORK, "capture"]) Reflect.deleteProperty(this.#device.stream, name);
    for (const event of this.#events.flat()) event.dispose();
  }

  #between(work: () => void): void {
    if (this.#isRecording) return work();
    const { context, stream } = this.#device;
    const [start, end] = [new CudaEvent(context, { timing: true }), new CudaEvent(context, { timing: true })];
    start.record(stream);
    work();
    end.record(stream);
    this.#events.push([start, end]);
  }
}
