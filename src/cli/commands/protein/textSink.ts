/** @file Where long text goes: stdout at the reader's pace, or a file that appears when it is whole. */
import { once } from "node:events";
import { PartialFile } from "../../../base/partialFile.ts";
import { visibleLines } from "../../../base/visibleText.ts";
import { whenPipeBreaks, BrokenPipe } from "../../brokenPipe.ts";

/** Takes text in order. Disposed of without {@link finish}, a file is not written. */
export interface TextSink extends AsyncDisposable {
  /** Returns when more may come. */
  write(text: string): Promise<void>;
  finish(): Promise<void>;
}

/** Exact for a file or another program; without what would steer a terminal, for people. */
const forReader = (text: string): string => (process.stdout.isTTY ? visibleLines(text) : text);

/**
 * Opens a sink.
 * @param path a file; stdout when undefined, of which `write` throws {@link BrokenPipe} when nobody reads it any more
 * @throws ParetoError FILE_REFUSED, FILE_DISK_FULL
 */
export async function openTextSink(path: string | undefined): Promise<TextSink> {
  if (path === undefined) {
    const gone = new AbortController();
    const ending = whenPipeBreaks(() => gone.abort());
    return {
      write: async (text) => {
        if (gone.signal.aborted) throw new BrokenPipe();
        if (text === "" || process.stdout.write(forReader(text))) return;
        // What a slow reader has not taken must not pile up in memory.
        await once(process.stdout, "drain").catch((error: unknown) => {
          throw gone.signal.aborted ? new BrokenPipe() : error;
        });
      },
      finish: async () => undefined,
      [Symbol.asyncDispose]: async () => ending[Symbol.dispose](),
    };
  }
  const file = await PartialFile.create(path);
  let isFinished = false;
  return {
    write: (text) => file.write(Buffer.from(text)),
    finish: async () => {
      await file.commit();
      isFinished = true;
    },
    [Symbol.asyncDispose]: async () => {
      if (!isFinished) await file.abort();
    },
  };
}
