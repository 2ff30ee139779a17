/** @file What a fuzzing thread tells the thread that watches it, through shared memory, while a reader blocks it. */

/** Three numbers of shared memory: the input that is read, the seed it is made from, and the last input that was read. */
export class FuzzProgress {
  readonly buffer: SharedArrayBuffer;
  readonly #numbers: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(12)) {
    this.buffer = buffer;
    this.#numbers = new Int32Array(buffer);
  }

  /** The number of the input that is read, from 1; 0 between inputs. */
  get current(): number {
    return Atomics.load(this.#numbers, 0);
  }

  /** The seed that it is made from, from 0. */
  get seed(): number {
    return Atomics.load(this.#numbers, 1);
  }

  /** The last input that was read to its end; 0 before there is one. */
  get done(): number {
    return Atomics.load(this.#numbers, 2);
  }

  begin(input: number, seed: number): void {
    Atomics.store(this.#numbers, 1, seed);
    Atomics.store(this.#numbers, 0, input);
  }

  end(): void {
    Atomics.store(this.#numbers, 2, this.current);
    Atomics.store(this.#numbers, 0, 0);
  }
}
