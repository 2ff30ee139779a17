/**
 * @file What the pool's owner and its threads agree on: the layout of the shared control words and task records.
 *
 * `control` (i32): some words for all, then a block of words for each of the ring's jobs. A job's tasks are
 * records `RECORD` floats long. A thread claims by decrementing REMAINING: a result of c ≥ 1 is the right to
 * record c - 1. The claim alone decides, so a thread that looks at a job just finished cannot take a task twice.
 */
import type { WasmMemory, WasmModule } from "./webAssembly.ts";

/** Jobs that may be in flight. */
export const RING = 16;
/** Tasks of one job; longer lists are split by the owner. */
export const MAX_TASKS = 512;
/** Floats of a record: kernel, arena, second arena (or -1), arguments. */
export const RECORD = 16;
/** Index of a record's first argument. */
export const ARGUMENTS = 3;

/** Counts submissions; idle threads wait on it. */
export const SIGNAL = 0;
/** 1 when threads are to end. */
export const STOP = 1;
/** Counts threads that are awake. */
export const AWAKE = 2;
/** How often an idle thread looks for work before it sleeps; set by the owner. */
export const LOOKS = 3;
/** Counts finished jobs; the owner waits on it. */
export const COMPLETED = 16;
const FIRST_JOB = 32;
const JOB_WORDS = 16;

/** Word of a job, from {@link jobWord}: tasks that no thread has claimed. */
export const REMAINING = 0;
/** Word of a job: tasks that are not finished. */
export const PENDING = 1;
/** 1 + the highest failed record (records are in reverse task order, so it is the first failed task); 0: none. */
export const FAILED = 2;

/** Index in `control` of a word of a job. */
export function jobWord(job: number, word: number): number {
  return FIRST_JOB + job * JOB_WORDS + word;
}

/** Words of `control`. */
export const CONTROL_WORDS = FIRST_JOB + RING * JOB_WORDS;

/** Index in `records` of a job's record. */
export function recordAt(job: number, record: number): number {
  return (job * MAX_TASKS + record) * RECORD;
}

/** What a thread starts with. */
export interface PoolWorkerData {
  control: Int32Array<SharedArrayBuffer>;
  records: Float64Array<SharedArrayBuffer>;
  module: WasmModule;
}

/** What the owner sends a thread: an arena to serve under a number, or, with null, to forget. */
export interface ArenaMessage {
  arena: number;
  memory: WasmMemory | null;
}

/** What a thread sends its owner when a kernel throws. */
export interface TrapMessage {
  kernel: string;
  message: string;
}
