/** @file A strategy seen from outside: it reports each batch that a trainer takes and each segment that ends. */
import type { ClickBatch } from "../../../src/recsys/data/batches/clickBatch.ts";
import type { BatchPlan } from "../../../src/recsys/strategies/batchPlan.ts";
import type { TrainingSegment, TrainingStrategy } from "../../../src/recsys/strategies/strategy.ts";

/** What is reported. */
export interface Watch {
  /** @param index of the batch in its segment, from 0 */
  onBatch?: (segment: TrainingSegment, index: number, batch: ClickBatch) => void;
  onCompleted?: (segment: TrainingSegment, batches: number) => void;
}

/** The segment with other plans. @param index of the plan in its segment, from 0 */
export function mapPlans(
  segment: TrainingSegment,
  map: (plan: BatchPlan, index: number) => BatchPlan,
): TrainingSegment {
  return {
    ...segment,
    async *plans(order) {
      let index = 0;
      for await (const plan of segment.plans(order)) yield map(plan, index++);
    },
  };
}

/** The segment with other batches of the same inputs. */
export function mapBatches(
  segment: TrainingSegment,
  map: (batch: ClickBatch, index: number) => ClickBatch,
): TrainingSegment {
  return mapPlans(segment, ({ parts, ...plan }, index) => ({
    ...plan,
    parts: parts.map((part) => ({ ...part, inputs: map(part.inputs, index) })),
  }));
}

/** Passes everything on to another strategy. */
export class WatchedStrategy implements TrainingStrategy {
  readonly name: string;
  readonly #inner: TrainingStrategy;
  readonly #watch: Watch;
  #segment: TrainingSegment | null = null;

  constructor(inner: TrainingStrategy, watch: Watch) {
    this.name = inner.name;
    this.#inner = inner;
    this.#watch = watch;
  }

  get sync() {
    return this.#inner.sync;
  }

  get hot() {
    return this.#inner.hot;
  }

  get popular() {
    return this.#inner.popular;
  }

  async next(): Promise<TrainingSegment | null> {
    const segment = await this.#inner.next();
    this.#segment = segment;
    if (!segment) return null;
    return mapBatches(segment, (batch, index) => {
      this.#watch.onBatch?.(segment, index, batch);
      return batch;
    });
  }

  completed(batches: number): void {
    this.#inner.completed(batches);
    this.#watch.onCompleted?.(this.#segment!, batches);
  }

  segmentEnded(validationLoss: () => Promise<number>): Promise<void> {
    return this.#inner.segmentEnded(validationLoss);
  }

  startEpoch(): void {
    this.#inner.startEpoch();
  }

  flush(): Promise<void> {
    return this.#inner.flush();
  }

  state(): unknown {
    return this.#inner.state();
  }

  dispose(): Promise<void> {
    return this.#inner.dispose();
  }
}
