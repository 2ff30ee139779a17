/**
 * @file What happens when the reader of stdout goes away, as `| head` does: the process ends with status 0, at once, or
 * as a command that has workers under way wishes; a process that exits while one of them computes is aborted.
 */

let stop: (() => void) | null = null;

/** Thrown by what writes to stdout, once its reader is gone and a command wants to end by itself. */
export class ReaderGone extends Error {
  override readonly name = "ReaderGone";
}

/** From now on a command ends by itself. @param ended told once the reader is gone */
export function endsByItself(ended: () => void): Disposable {
  stop = ended;
  return {
    [Symbol.dispose]: () => {
      stop = null;
    },
  };
}

/** The reader of stdout is gone. */
export function readerIsGone(): void {
  if (stop) stop();
  else process.exit(0);
}
