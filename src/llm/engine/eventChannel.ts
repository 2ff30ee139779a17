/** @file A queue from one who pushes to one who iterates. Unbounded: who pushes never waits. */

/** Values in order, then an end or an error. */
export class EventChannel<T> implements AsyncIterableIterator<T, undefined> {
  readonly #values: T[] = [];
  readonly #onReturn: () => void;
  #end: { error: unknown } | "done" | null = null;
  #wake: (() => void) | null = null;

  /** @param onReturn called when the iterator is left before its end */
  constructor(onReturn: () => void) {
    this.#onReturn = onReturn;
  }

  push(value: T): void {
    this.#values.push(value);
    this.#notify();
  }

  /** No value follows. */
  close(): void {
    this.#end ??= "done";
    this.#notify();
  }

  /** No value follows; the iterator throws behind those that were pushed. */
  fail(error: unknown): void {
    this.#end ??= { error };
    this.#notify();
  }

  async next(): Promise<IteratorResult<T, undefined>> {
    while (this.#values.length === 0 && this.#end === null)
      await new Promise<void>((resolve) => (this.#wake = resolve));
    if (this.#values.length > 0) return { done: false, value: this.#values.shift()! };
    const end = this.#end;
    this.#end = "done";
    if (end !== "done" && end !== null) throw end.error;
    return { done: true, value: undefined };
  }

  /** Leaves the iterator: `for await` does so on `break`. */
  async return(): Promise<IteratorResult<T, undefined>> {
    const isOver = this.#end !== null;
    this.#values.length = 0;
    this.close();
    if (!isOver) this.#onReturn();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #notify(): void {
    this.#wake?.();
    this.#wake = null;
  }
}
