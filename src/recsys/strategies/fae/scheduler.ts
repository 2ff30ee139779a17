/**
 * @file FAE's shuffle scheduler: in which order cold and hot batches are trained. A pure state machine; the trainer
 * trains what it says and gives it the validation loss after each round, by which a policy chooses the next rate.
 *
 * At shuffle rate r (percent) a round is the next `max(1, ceil(r·nCold/100))` cold batches and the next
 * `max(1, ceil(r·nHot/100))` hot ones, or the other way round; ceil, our choice, leaves no stub round. R(100) is
 * one alternation an epoch.
 *
 * The state is plain JSON and may be taken in the middle of a segment; a scheduler made from it goes on there.
 */
import { invariant } from "../../../base/errors.ts";
import type { OnEvent } from "../../../run/events.ts";
import type { RateChoice, ShuffleRatePolicy } from "./shuffleRate.ts";

/** The two classes of batches. */
export type BatchKind = "cold" | "hot";

/** A stretch of batches of one class. */
export interface Segment {
  kind: BatchKind;
  /** First batch, counted within its class and epoch. */
  firstBatch: number;
  /** Batches; at least 1. */
  count: number;
  /** From 0. */
  epoch: number;
  /** From 0 in each epoch. */
  round: number;
  /** Whether the round ends with it: then evaluate and call {@link ShuffleScheduler.afterRound}. */
  endsRound: boolean;
}

/** How to schedule. */
export interface SchedulerOptions {
  /** Batches of each class an epoch. */
  coldBatches: number;
  hotBatches: number;
  /** Chooses the percent of each class that a round takes. */
  rate: ShuffleRatePolicy;
  /** Defaults to `cold-first`. */
  order?: "cold-first" | "hot-first";
  onEvent?: OnEvent;
}

/** What the scheduler did after a round. */
export interface RateRecord {
  epoch: number;
  round: number;
  /** Rate of the next round. */
  shuffleRate: number;
  /** Validation loss after the round; null for one that is not finite, which JSON could not keep. */
  loss: number | null;
  action: RateChoice["action"];
}

/** All that a scheduler remembers. */
export interface SchedulerState {
  shuffleRate: number;
  /** Consecutive falls of the loss. */
  falls: number;
  lastLoss: number | null;
  epoch: number;
  round: number;
  /** Batches of each class that are done or in the current segment. */
  taken: Record<BatchKind, number>;
  /** Phases left of the current round, the current one first. */
  queue: Segment[];
  /** Batches done of the current segment. */
  done: number;
  /** Whether a round has ended whose loss is still to come. */
  awaitsLoss: boolean;
  trace: RateRecord[];
}

/** Interleaves cold and hot batches. */
export class ShuffleScheduler {
  readonly #batches: Record<BatchKind, number>;
  readonly #rate: ShuffleRatePolicy;
  readonly #order: readonly BatchKind[];
  readonly #onEvent: OnEvent | undefined;
  readonly #state: SchedulerState;

  /** @param state where to go on, from {@link state}; the start of epoch 0 by default */
  constructor(options: SchedulerOptions, state?: SchedulerState) {
    const { coldBatches, hotBatches, rate, order = "cold-first", onEvent } = options;
    this.#batches = { cold: coldBatches, hot: hotBatches };
    this.#rate = rate;
    this.#order = order === "cold-first" ? ["cold", "hot"] : ["hot", "cold"];
    this.#onEvent = onEvent;
    this.#state = structuredClone(state) ?? {
      shuffleRate: rate.start,
      falls: 0,
      lastLoss: null,
      epoch: 0,
      round: -1,
      taken: { cold: 0, hot: 0 },
      queue: [],
      done: 0,
      awaitsLoss: false,
      trace: [],
    };
  }

  /** Rate of the current round, percent. */
  get shuffleRate(): number {
    return this.#state.shuffleRate;
  }

  /** Whether the loss of a finished round is wanted: on resuming, evaluate first if it is. */
  get awaitsLoss(): boolean {
    return this.#state.awaitsLoss;
  }

  /** What was decided after each round so far. */
  get trace(): readonly RateRecord[] {
    return this.#state.trace;
  }

  /** A copy of the state, to save and go on from. */
  get state(): SchedulerState {
    return structuredClone(this.#state);
  }

  /** What is left of the current segment, or the next one; null at the end of the epoch. */
  next(): Segment | null {
    if (this.#state.queue.length === 0) this.#startRound();
    const segment = this.#state.queue[0];
    if (segment === undefined) return null;
    const { done } = this.#state;
    return { ...segment, firstBatch: segment.firstBatch + done, count: segment.count - done };
  }

  /** Counts `batches` more of the current segment as trained. */
  completed(batches = 1): void {
    const state = this.#state;
    const segment = state.queue[0];
    invariant(segment !== undefined, "batches are completed within a segment");
    state.done += batches;
    invariant(state.done <= segment.count, `a segment of ${segment.count} batches completed ${state.done}`);
    if (state.done < segment.count) return;
    state.queue.shift();
    state.done = 0;
    state.awaitsLoss = segment.endsRound;
  }

  /** The segments of the rest of the epoch. Each must be {@link completed} before the next is asked for. */
  *segments(): Generator<Segment, void, undefined> {
    for (let segment = this.next(); segment !== null; segment = this.next()) yield segment;
  }

  /** Takes the validation loss after a round; one that is not finite counts as risen. A fixed rate ignores it. */
  afterRound(loss: number): void {
    const state = this.#state;
    const previous = state.lastLoss;
    const { shuffleRate, falls } = state;
    const { action, ...next } = this.#rate.after({ shuffleRate, falls, loss, previousLoss: previous });
    Object.assign(state, next);
    const known = Number.isFinite(loss) ? loss : null;
    state.lastLoss = known ?? previous;
    state.awaitsLoss = false;
    const { epoch, round } = state;
    state.trace.push({ epoch, round, shuffleRate: next.shuffleRate, loss: known, action });
    this.#onEvent?.({
      event: "decision",
      policy: this.#rate.name,
      kind: "recsys.rate",
      step: state.taken.cold + state.taken.hot + state.epoch * (this.#batches.cold + this.#batches.hot),
      subject: "validation",
      saw: { epoch, round, loss: known, previousLoss: previous },
      chose: { rate: next.shuffleRate, action },
    });
  }

  /** Begins the next epoch; the rate and what it rests on are kept. */
  startEpoch(): void {
    const state = this.#state;
    invariant(this.next() === null, "an epoch starts after the last segment of the one before");
    state.epoch++;
    state.round = -1;
    state.taken = { cold: 0, hot: 0 };
  }

  #startRound(): void {
    const state = this.#state;
    const queue: Segment[] = [];
    for (const kind of this.#order) {
      const total = this.#batches[kind];
      const firstBatch = state.taken[kind];
      const count = Math.min(total - firstBatch, roundSize(state.shuffleRate, total));
      if (count <= 0) continue;
      state.taken[kind] += count;
      queue.push({ kind, firstBatch, count, epoch: state.epoch, round: state.round + 1, endsRound: false });
    }
    const last = queue.at(-1);
    if (last === undefined) return;
    last.endsRound = true;
    state.round++;
    state.queue = queue;
  }
}

/** Batches of a class that a round takes. */
function roundSize(shuffleRate: number, batches: number): number {
  return Math.max(1, Math.ceil((shuffleRate * batches) / 100));
}

/**
 * Synchronisations that a sequence of segments needs: hot rows are copied in when hot batches begin and written back
 * when they end. (An evaluation between two hot segments, which only adaptive rates ask for, adds two more.)
 */
export function syncCount(segments: Iterable<Pick<Segment, "kind">>): number {
  let syncs = 0;
  let previous: BatchKind = "cold";
  for (const { kind } of segments) {
    if (kind === "hot" && previous === "cold") syncs += 2;
    previous = kind;
  }
  return syncs;
}
