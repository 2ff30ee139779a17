/**
 * @file The windows of one pass over an encoded data set, in order, made ahead of their use.
 *
 * Memory: a long shuffled pass holds the window in use and three more, and each window thread another as it was read,
 * with its widest column once more: with Criteo's columns and default windows (65 536 rows of 168 bytes, 11 MB) 73 MB
 * with two threads. Other passes hold the window in use and the next. A batch that spans more windows keeps all of them.
 */
import type { EncodedIndex, GroupEntry } from "../encode/encodedLayout.ts";
import { EncodedWindow, placeGroups, readGroups, type RowsFile } from "./encodedWindow.ts";
import { placeShuffled, shuffleWindow, type ShuffleTask, WindowScratch } from "./shuffledWindow.ts";
import { WindowThreads } from "./windowThreads.ts";

/** A window to come. */
export interface PlannedWindow {
  /** Indices of its groups, in order. */
  groups: number[];
  rows: number;
  /** Rows before it. */
  before: number;
  /** Random stream of its shuffle. */
  stream: number;
}

/** Windows that are made before they are asked for, by window threads. */
const AHEAD = 3;
/** Rows of a pass that are not worth starting threads for. */
const FEW_ROWS = 65_536;

/** Makes windows ahead. */
export class WindowPrefetch {
  readonly #file: RowsFile;
  readonly #index: EncodedIndex;
  readonly #plan: readonly PlannedWindow[];
  /** Of the shuffle; null reads in file order. */
  readonly #seed: number | null;
  readonly #threads: WindowThreads | null;
  readonly #ahead: Promise<EncodedWindow>[] = [];
  readonly #free: SharedArrayBuffer[] = [];
  readonly #first: number;
  /** The window that is given next, and that which is made next. */
  #given: number;
  #made: number;

  /** @param first index of the first window to give */
  constructor(
    file: RowsFile,
    index: EncodedIndex,
    plan: readonly PlannedWindow[],
    seed: number | null,
    first: number,
  ) {
    this.#file = file;
    this.#index = index;
    this.#plan = plan;
    this.#seed = seed;
    this.#first = first;
    this.#given = first;
    this.#made = first;
    const left = index.rows - plan[first]!.before;
    // The first window is made in the calling thread, which has nothing else to do, while the threads start.
    const isThreaded = seed !== null && left > FEW_ROWS && plan.length - first > 1;
    this.#threads = isThreaded ? WindowThreads.join() : null;
  }

  /**
   * The next window, which stays valid until it is released.
   * @throws ParetoError DATA_ENCODED_DAMAGED
   */
  next(): Promise<EncodedWindow> {
    const until = Math.min(this.#plan.length, this.#given + 1 + (this.#threads ? AHEAD : 1));
    for (; this.#made < until; this.#made++) {
      const making = this.#make(this.#plan[this.#made]!, this.#made === this.#first ? null : this.#threads);
      // Awaited when its turn comes; a failure before then must not count as unhandled.
      making.catch(() => undefined);
      this.#ahead.push(making);
    }
    this.#given++;
    return this.#ahead.shift()!;
  }

  /** Gives a window's memory back. */
  release({ buffer }: EncodedWindow): void {
    this.#free.push(buffer);
  }

  /** Waits for windows under way; the file may be closed then. */
  async close(): Promise<void> {
    await Promise.allSettled(this.#ahead);
    this.#threads?.leave();
  }

  async #make({ groups, stream }: PlannedWindow, threads: WindowThreads | null): Promise<EncodedWindow> {
    const { layout } = this.#index;
    const entries = groups.map((g): GroupEntry => this.#index.groups[g]!);
    const isShuffled = this.#seed !== null;
    const places = isShuffled ? placeShuffled(layout, entries) : placeGroups(layout, entries);
    const buffer = this.#take(places.sizeBytes);
    if (isShuffled) {
      const task: ShuffleTask = { file: this.#file, layout, entries, seed: this.#seed!, stream };
      await (threads ? threads.run(task, buffer) : shuffleWindow(task, buffer, new WindowScratch()));
    } else {
      await readGroups(this.#file, layout, entries, buffer);
    }
    return new EncodedWindow(layout, places, buffer);
  }

  #take(sizeBytes: number): SharedArrayBuffer {
    const free = this.#free.pop();
    return free && free.byteLength >= sizeBytes ? free : new SharedArrayBuffer(sizeBytes);
  }
}
