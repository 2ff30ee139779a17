/** @file A strategy seen from outside: it reports each batch that a trainer takes and each phase that ends. */
import type { ClickBatch } from "../../../src/recsys/data/batches/batch.ts";
import type { EncodedDataset } from "../../../src/recsys/data/encode/encodedDataset.ts";
import type {
  StrategyName,
  TrainingPhase,
  TrainingStrategy,
} from "../../../src/recsys/strategies/strategy.ts";

/** What is reported. */
export interface Watch {
  /** @param index of the batch in its phase, from 0 */
  onBatch?: (phase: TrainingPhase, index: number, batch: ClickBatch) => void;
  onCompleted?: (phase: TrainingPhase, batches: number) => void;
}

/** The phase with other batches of the same inputs. */
export function mapBatches(
  phase: TrainingPhase,
  map: (batch: ClickBatch, index: number) => ClickBatch,
): TrainingPhase {
  const source: Pick<EncodedDataset, "batches"> = {
    async *batches(options) {
      let index = 0;
      for await (const batch of phase.dataset.batches(options)) yield map(batch, index++);
    },
  };
  return { ...phase, dataset: source as EncodedDataset };
}

/** Passes everything on to another strategy. */
export class WatchedStrategy implements TrainingStrategy {
  readonly name: StrategyName;
  readonly #inner: TrainingStrategy;
  readonly #watch: Watch;
  #phase: TrainingPhase | null = null;

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

  async next(): Promise<TrainingPhase | null> {
    const phase = await this.#inner.next();
    this.#phase = phase;
    if (!phase) return null;
    return mapBatches(phase, (batch, index) => {
      this.#watch.onBatch?.(phase, index, batch);
      return batch;
    });
  }

  completed(batches: number): void {
    this.#inner.completed(batches);
    this.#watch.onCompleted?.(this.#phase!, batches);
  }

  phaseEnded(validationLoss: () => Promise<number>): Promise<void> {
    return this.#inner.phaseEnded(validationLoss);
  }

  startEpoch(): void {
    this.#inner.startEpoch();
  }

  settle(): Promise<void> {
    return this.#inner.settle();
  }

  state(): unknown {
    return this.#inner.state();
  }

  dispose(): Promise<void> {
    return this.#inner.dispose();
  }
}
