/** @file GPU time of the parts of a pass, by events between them; for finding what is slow. */
import { type CudaDevice, CudaEvent } from "../../engine/targets/cuda/index.ts";

/** Bytes cleared, and how often, before anything is timed: the GPU is busy while the host queues what follows. */
const BUSY_BYTES = 256 * 2 ** 20;
const BUSY_TIMES = 400;

/** Times parts, each from the mark before it. */
export class LaunchTimes {
  readonly #device: CudaDevice;
  readonly #marks: { label: string; event: CudaEvent }[] = [];

  constructor(device: CudaDevice) {
    this.#device = device;
  }

  /** Keeps the GPU busy for some tens of milliseconds, so that the host's own time falls on nothing that is timed. */
  keepBusy(): void {
    const { allocator, stream } = this.#device;
    const buffer = allocator.allocate(BUSY_BYTES, "busy work");
    for (let i = 0; i < BUSY_TIMES; i++) stream.clear(buffer.pointer, BUSY_BYTES);
    buffer.free();
  }

  /** Ends a part. */
  mark(label: string): void {
    const event = new CudaEvent(this.#device.context, { timing: true });
    event.record(this.#device.stream);
    this.#marks.push({ label, event });
  }

  /** Milliseconds of all parts of each label, once they are done. */
  async totals(): Promise<Map<string, number>> {
    await this.#device.finished();
    const totals = new Map<string, number>();
    for (const [i, { label, event }] of this.#marks.entries()) {
      const before = this.#marks[i - 1]?.event;
      if (before) totals.set(label, (totals.get(label) ?? 0) + event.elapsedMs(before));
    }
    for (const { event } of this.#marks.splice(0)) event.dispose();
    return totals;
  }
}
