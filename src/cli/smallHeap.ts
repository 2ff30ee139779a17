/** @file A small JavaScript heap, for commands that stream millions of records through buffers of their own. */
import { setFlagsFromString } from "node:v8";

/**
 * Keeps the young generation of this thread's heap, and the heaps of workers that are started later, small. Left alone
 * V8 lets it grow to some 50 MB and more while records pass, memory that holds nothing but garbage; small, it is
 * collected more often, which costs no rate that could be measured, for the work is outside the heap.
 */
export function keepHeapSmall(): void {
  for (const flag of ["--max-semi-space-size=2", "--semi-space-growth-factor=1", "--optimize-for-size"]) {
    setFlagsFromString(flag);
  }
}
