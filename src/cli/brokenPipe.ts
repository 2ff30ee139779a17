/**
 * @file What happens when the reader of stdout goes away, as `| head` does: the process exits with status 0, at once; or,
 * where a command has asked for it, when that command has ended, because a process that exits while its workers compute
 * is aborted.
 */

let onBrokenPipe: (() => void) | null = null;

/** Thrown by what writes to stdout once its reader has gone, for the command to end on. */
export class BrokenPipe extends Error {
  override readonly name = "BrokenPipe";
}

/** Until disposed of, a broken pipe calls `listener` and does not exit. */
export function whenPipeBreaks(listener: () => void): Disposable {
  onBrokenPipe = listener;
  return {
    [Symbol.dispose]: () => {
      onBrokenPipe = null;
    },
  };
}

/** The reader of stdout has gone. */
export function brokenPipe(): void {
  if (onBrokenPipe) onBrokenPipe();
  else process.exit(0);
}
