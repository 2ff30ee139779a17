/**
 * @file A kernel thread: sleeps on the pool's signal, claims tasks, runs them, counts them off, and looks for more for
 * as long as the pool's owner wants before it sleeps again.
 *
 * It never returns to its event loop, so arenas reach it through `receiveMessageOnPort`. A failing task leaves
 * its code in the task's own record; the owner makes the error.
 */
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { moveRows } from "./moveRows.ts";
import { KERNEL_NAMES } from "./kernelModule.ts";
import type { ArenaMessage, PoolWorkerData, TrapMessage } from "./poolProtocol.ts";
import {
  ARGUMENTS,
  AWAKE,
  COMPLETED,
  FAILED,
  jobWord,
  LOOKS,
  PENDING,
  RECORD,
  recordAt,
  REMAINING,
  RING,
  SIGNAL,
  STOP,
} from "./poolProtocol.ts";
import { webAssembly } from "./webAssembly.ts";

type Kernel = (...args: number[]) => number;

/** An arena as this thread sees it. */
interface Served {
  kernels: (Kernel | undefined)[];
  words: Int32Array;
  bytes: Uint8Array;
}

const { control, records, module } = workerData as PoolWorkerData;
const port = parentPort!;
const arenas = new Map<number, Served>();

function takeMessages(): void {
  for (let item = receiveMessageOnPort(port); item !== undefined; item = receiveMessageOnPort(port)) {
    const { arena, memory } = item.message as ArenaMessage;
    if (memory === null) {
      arenas.delete(arena);
      continue;
    }
    const { exports } = new webAssembly.Instance(module, { env: { memory } });
    const kernels = KERNEL_NAMES.map((name) => exports[name] as Kernel | undefined);
    arenas.set(arena, {
      kernels,
      words: new Int32Array(memory.buffer),
      bytes: new Uint8Array(memory.buffer),
    });
  }
}

function served(arena: number): Served {
  let found = arenas.get(arena);
  if (found === undefined) {
    takeMessages();
    found = arenas.get(arena);
    if (found === undefined) throw new Error(`arena ${arena} is not known to this thread`);
  }
  return found;
}

/** Runs the task of a record and returns its code, 0 for success. */
function runTask(at: number): number {
  const kernel = records[at]!;
  const arena = served(records[at + 1]!);
  const a = at + ARGUMENTS;
  const other = records[at + 2]!;
  if (other >= 0) return moveRows(arena, served(other), records.subarray(a, at + RECORD));
  const run = arena.kernels[kernel];
  if (!run) throw new Error("kernels.wasm is older than the sources: run `npm run prepare`");
  return run(
    records[a]!,
    records[a + 1]!,
    records[a + 2]!,
    records[a + 3]!,
    records[a + 4]!,
    records[a + 5]!,
    records[a + 6]!,
    records[a + 7]!,
    records[a + 8]!,
  );
}

function fail(job: number, record: number): void {
  const word = jobWord(job, FAILED);
  let worst = Atomics.load(control, word);
  while (worst < record + 1) {
    const seen = Atomics.compareExchange(control, word, worst, record + 1);
    if (seen === worst) return;
    worst = seen;
  }
}

/** Claims and runs one task of a job; false when there is none left. */
function runOne(job: number): boolean {
  const remaining = jobWord(job, REMAINING);
  if (Atomics.load(control, remaining) <= 0) return false;
  const claim = Atomics.sub(control, remaining, 1);
  if (claim <= 0) return false;
  const at = recordAt(job, claim - 1);
  let code: number;
  try {
    code = runTask(at);
  } catch (error) {
    code = -1;
    const kernel = KERNEL_NAMES[records[at]!] ?? "unknown";
    const trap: TrapMessage = { kernel, message: error instanceof Error ? error.message : String(error) };
    port.postMessage(trap);
  }
  if (code !== 0) {
    records[at] = code;
    fail(job, claim - 1);
  }
  if (Atomics.sub(control, jobWord(job, PENDING), 1) === 1) {
    Atomics.add(control, COMPLETED, 1);
    Atomics.notify(control, COMPLETED);
  }
  return true;
}

Atomics.add(control, AWAKE, 1);
for (;;) {
  // Read before STOP and the jobs are looked at: whatever is asked for after that changes it, and then nobody sleeps.
  const signal = Atomics.load(control, SIGNAL);
  if (Atomics.load(control, STOP) !== 0) break;
  takeMessages();
  let worked = false;
  for (let job = 0; job < RING; job++) while (runOne(job)) worked = true;
  if (worked) continue;
  for (let looks = control[LOOKS]!; looks > 0 && Atomics.load(control, SIGNAL) === signal; looks--);
  Atomics.sub(control, AWAKE, 1);
  Atomics.wait(control, SIGNAL, signal);
  Atomics.add(control, AWAKE, 1);
}
port.close();
