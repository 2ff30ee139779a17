/** @file Where long text goes: stdout at the reader's pace, or a file that appears when it is whole. */
import { once } from "node:events";
import { PartialFile } from "../../../engine/partialFile.ts";

/** Takes text in order. Disposed of without {@link finish}, a file is not written. */
export interface TextSink extends AsyncDisposable {
  /** Returns when more may come. */
  write(text: string): Promise<void>;
  finish(): Promise<void>;
}

/** @param path a file; stdout when undefined @throws ParetoError FILE_REFUSED, FILE_DISK_FULL */
export async function openTextSink(path: string | undefined): Promise<TextSink> {
  if (path === undefined) {
    return {
      write: async (text) => {
        // What a slow reader has not taken must not pile up in memory.
        if (text !== "" && !process.stdout.write(text)) await once(process.stdout, "drain");
      },
      finish: async () => undefined,
      [Symbol.asyncDispose]: async () => undefined,
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
