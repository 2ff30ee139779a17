/** @file A thread that encodes blocks one after another, where they lie on shared memory. */
import { parentPort, workerData } from "node:worker_threads";
import type { BlockWorkerData } from "./blockThreads.ts";
import { encodeBlock, type RawBlock } from "./rawBlock.ts";

const port = parentPort!;
const { layout, tables } = workerData as BlockWorkerData;

port.on("message", (block: RawBlock) => {
  encodeBlock(layout, block, tables);
  port.postMessage(null);
});
