/** @file A window thread: shuffles windows one after another, with memory of its own for the groups as they are read. */
import { parentPort } from "node:worker_threads";
import { ParetoError } from "../../../base/errors.ts";
import { shuffleWindow, WindowScratch } from "./shuffledWindow.ts";
import type { WindowReply, WindowRequest } from "./windowThreads.ts";

const port = parentPort!;
const scratch = new WindowScratch();
let last: Promise<void> = Promise.resolve();

port.on("message", (request: WindowRequest) => {
  last = last.then(() => answer(request));
});

async function answer({ id, task, into }: WindowRequest): Promise<void> {
  let reply: WindowReply = { id };
  try {
    await shuffleWindow(task, into, scratch);
  } catch (error) {
    // What an error of the file system has beside its message does not cross by itself.
    if (error instanceof ParetoError) reply = { id, known: error.toJSON() };
    else reply = { id, unknown: error };
  }
  port.postMessage(reply);
}
