/**
 * @file When the windows of staged batches are loaded, forwarded and written back, so that every row is read with all
 * updates asked for before, however long each move takes. Pure logic: the moves themselves are {@link WindowMoves}.
 *
 * The newest value of a row that is not popular lies in the tables, or, between the update of a batch and the end of its
 * write-back, in that batch's window. Hence three rules, which are ours:
 * 1. Rows are loaded from the tables after all write-backs begun before.
 * 2. Rows that a batch staged earlier and not yet updated lists too are held back: they are forwarded from its window after
 *    its update. Without early gather all rows are held back for it, and those not forwarded are loaded then.
 * 3. A window is staged again after its loads and its write-back.
 * Rows held back for an update that never comes are loaded when somebody asks for them.
 */
import { ParetoError } from "../../../base/errors.ts";

/** Moves of rows between the tables and the windows. */
export interface WindowMoves {
  /**
   * Loads rows of a buffer's window from the tables: `all` listed; or `early`, those not held back, and `late`, those held
   * back and not forwarded since.
   */
  load(buffer: number, rows: "all" | "early" | "late"): Promise<void>;
  /** Gathers the parts of a buffer's batch that look rows of the window up. */
  gather(buffer: number): Promise<void>;
  /** Writes the rows of a buffer's window to the tables. */
  writeBack(buffer: number): Promise<void>;
}

interface Window {
  phase: "free" | "staged" | "updated";
  /** Whether its batch looks rows of the window up. */
  hasRows: boolean;
  /** Buffers whose updates its rows are held back for. */
  waitsFor: Set<number>;
  /** Whether rows may be missing that are not forwarded. */
  mustLoad: boolean;
  /** Whether all of its rows are loaded, and gathered, by its work so far. */
  isComplete: boolean;
  /** Its loads and gathers so far. */
  work: Promise<void>;
  writtenBack: Promise<void>;
}

/** Orders the moves of the windows of all staging buffers. */
export class WindowSchedule {
  /** Seconds of loads and gathers, without what they waited for. */
  gatherSeconds = 0;
  /** Seconds that callers of {@link ready} waited. */
  exposedSeconds = 0;
  readonly #moves: WindowMoves;
  readonly #earlyGather: boolean;
  readonly #windows: Window[];
  /** Write-backs, one after the other. */
  #writeBacks: Promise<void> = Promise.resolve();

  constructor(moves: WindowMoves, buffers: number, earlyGather: boolean) {
    this.#moves = moves;
    this.#earlyGather = earlyGather;
    this.#windows = Array.from({ length: buffers }, () => ({
      phase: "free",
      hasRows: false,
      waitsFor: new Set<number>(),
      mustLoad: false,
      isComplete: true,
      work: Promise.resolve(),
      writtenBack: Promise.resolve(),
    }));
  }

  /** Resolves when all write-backs are done that were begun. */
  async writtenBack(): Promise<void> {
    await this.#writeBacks;
  }

  /** Resolves when nothing reads or writes a buffer's window any more; its batch is then forgotten. */
  async free(buffer: number): Promise<void> {
    const window = this.#windows[buffer]!;
    // What failed there concerned the batch that was staged; a failed write-back has lost updates.
    await window.work.catch(() => undefined);
    await window.writtenBack;
    window.phase = "free";
    window.waitsFor.clear();
    window.work = Promise.resolve();
    for (const other of this.#windows) {
      if (other.waitsFor.delete(buffer)) other.mustLoad = true;
    }
  }

  /** {@link free} for all buffers. */
  async freeAll(): Promise<void> {
    await Promise.all(this.#windows.keys().map((buffer) => this.free(buffer)));
  }

  /** Buffers whose updates the rows of `buffer`, about to be staged, must see. */
  pending(buffer: number): number[] {
    return [...this.#windows.keys()].filter((b) => b !== buffer && this.#windows[b]!.phase === "staged");
  }

  /** Whether rows are loaded before the updates in {@link pending} that do not concern them. */
  get earlyGather(): boolean {
    return this.#earlyGather;
  }

  /**
   * A batch is staged: begins the loads that need not wait.
   * @param pending what {@link pending} said when its rows were held back
   */
  staged(buffer: number, hasRows: boolean, pending: readonly number[]): void {
    const window = this.#windows[buffer]!;
    window.phase = "staged";
    window.hasRows = hasRows;
    window.isComplete = !hasRows || pending.length === 0;
    if (!hasRows) return;
    window.waitsFor = new Set(pending);
    window.mustLoad = pending.length > 0 && !this.#earlyGather;
    if (pending.length === 0) this.#then(buffer, ["all"], this.#writeBacks);
    else if (this.#earlyGather) this.#then(buffer, ["early"], this.#writeBacks);
  }

  /**
   * The update of `updated` is to be seen by `buffer`.
   * @param forward copies the rows that both windows list, and gathers again what needs no window
   */
  async refreshed(buffer: number, updated: number, forward: () => Promise<void>): Promise<void> {
    const [window, source] = [this.#windows[buffer]!, this.#windows[updated]!];
    if (source.phase !== "updated") return;
    await window.work;
    await forward();
    if (!window.hasRows) return;
    window.waitsFor.delete(updated);
    if (window.waitsFor.size > 0) return;
    // What `updated` writes back was forwarded, so a load need not wait for it.
    const others = this.#windows.filter((other) => other !== source);
    this.#complete(buffer, Promise.all(others.map(({ writtenBack }) => writtenBack)));
  }

  /** Resolves when the rows of a staged buffer are gathered. */
  async ready(buffer: number): Promise<void> {
    const window = this.#windows[buffer]!;
    if (!window.hasRows) return;
    const start = performance.now();
    if (!window.isComplete) {
      window.waitsFor.clear();
      window.mustLoad = true;
      this.#complete(buffer, this.#writeBacks);
    }
    await window.work;
    this.exposedSeconds += (performance.now() - start) / 1000;
  }

  /** @throws ParetoError TIERED_UPDATED_TWICE: a batch is updated once, with the gradients of all of its parts (H2) */
  assertUpdatable(buffer: number): void {
    if (this.#windows[buffer]!.phase === "staged") return;
    throw new ParetoError({
      code: "TIERED_UPDATED_TWICE",
      where: "TieredEmbeddings.update",
      message: `a staged batch must be updated once, after all of its parts, got a second update of buffer ${buffer}`,
      fix: "Stage the next batch before the next update.",
    });
  }

  /** A buffer's batch was updated: begins its write-back. */
  updated(buffer: number): void {
    const window = this.#windows[buffer]!;
    window.phase = "updated";
    if (!window.hasRows) return;
    window.writtenBack = this.#writeBacks.then(() => this.#moves.writeBack(buffer));
    this.#writeBacks = handled(window.writtenBack);
  }

  /** Loads what is missing, after what must come before, and gathers. */
  #complete(buffer: number, before: Promise<unknown>): void {
    const window = this.#windows[buffer]!;
    const { mustLoad } = window;
    window.mustLoad = false;
    window.isComplete = true;
    this.#then(buffer, mustLoad ? ["late"] : [], before);
  }

  /** Adds loads, after what must come before, to a window's work, and a gather when they complete it. */
  #then(buffer: number, loads: readonly ("all" | "early" | "late")[], before: Promise<unknown>): void {
    const window = this.#windows[buffer]!;
    const gathers = window.isComplete;
    const work = async (): Promise<void> => {
      if (loads.length > 0) await before;
      const start = performance.now();
      for (const rows of loads) await this.#moves.load(buffer, rows);
      if (gathers) await this.#moves.gather(buffer);
      this.gatherSeconds += (performance.now() - start) / 1000;
    };
    window.work = handled(window.work.then(work));
  }
}

/** The same promise; its failure is reported to whoever awaits it, now or later. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}
