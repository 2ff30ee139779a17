/** @file Values up to the error that ends them, so that what came before it is worked off first. */

/** An error that was kept; null while there is none. */
export interface Failure {
  error: unknown;
}

/**
 * The values of an iterable. Its error ends them and is kept, to be thrown by the caller once they are worked off. An
 * error of the loop over them is not caught.
 */
export async function* untilFailure<T>(values: AsyncIterable<T>, failure: Failure): AsyncGenerator<T> {
  try {
    yield* values;
  } catch (error) {
    failure.error = error;
  }
}
