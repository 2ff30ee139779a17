/**
 * @file The one error type of the library.
 *
 * Every failure that a caller can cause carries a stable `code`, the place (`where`), a message that ends in
 * the value received, and a `fix`: an instruction. Programming errors inside the library use {@link invariant}.
 */

/** What each {@link ParetoError} states. */
export interface ErrorDetail {
  /** Stable, upper-case, greppable: `SHAPE_MATMUL_INNER`, `FILE_MISSING`. */
  code: string;
  /** The function, file, row or column at fault, e.g. `matmul` or `clicks.csv:17`. */
  where: string;
  /** One sentence ending in the value received. */
  message: string;
  /** What to do about it, as an instruction. */
  fix: string;
  /** The error underneath, when there is one. */
  cause?: unknown;
}

/** A failure with its place, the value received and its remedy. */
export class ParetoError extends Error {
  readonly code: string;
  readonly where: string;
  readonly fix: string;

  constructor(detail: ErrorDetail) {
    super(detail.message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = "ParetoError";
    this.code = detail.code;
    this.where = detail.where;
    this.fix = detail.fix;
  }

  /** The fields as plain data, for JSON lines and for crossing a thread. */
  toJSON(): ErrorDetail {
    return { code: this.code, where: this.where, message: this.message, fix: this.fix };
  }
}

/** Asserts what the library itself guarantees; a failure is a defect of Pareto, not of its input. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`Pareto invariant broken: ${message}`);
}
