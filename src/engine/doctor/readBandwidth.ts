/** @file How fast memory can be read: what limits work that touches every byte once, such as decoding a text. */
import { Arena, type KernelTask, ThreadPool } from "../targets/cpu/index.ts";
import { bestSeconds } from "./check.ts";

/** More than processors cache. */
const PROBE_BYTES = 512 * 2 ** 20;
const LINE_BYTES = 64;
/** Tasks a thread, so that a slow thread does not hold up the others for long. */
const TASKS_PER_THREAD = 8;
const TIMED_MS = 300;

/**
 * Bytes a second that all threads together read in order, the best of some 300 ms.
 * @param threads that read
 */
export async function readBandwidth(threads: number): Promise<number> {
  const lines = PROBE_BYTES / LINE_BYTES;
  const pool = await ThreadPool.create(threads);
  try {
    const tasks = threads * TASKS_PER_THREAD;
    const arena = new Arena(PROBE_BYTES + 4 * lines + LINE_BYTES * tasks + 4096);
    const base = arena.allocate(PROBE_BYTES);
    // Every page is written once, or all reads would hit the one page of zeros.
    arena.float32At(base, PROBE_BYTES / 4).fill(1);
    const list = arena.allocate(4 * lines);
    const ids = arena.int32At(list, lines);
    for (let i = 0; i < lines; i++) ids[i] = i;
    const out = arena.allocate(LINE_BYTES * tasks);
    const share = Math.ceil(lines / tasks);
    const work: KernelTask[] = Array.from({ length: tasks }, (_, t) => ({
      kernel: "readLines",
      arena,
      arguments: [base, list + 4 * t * share, Math.min(share, lines - t * share), out + LINE_BYTES * t],
    }));
    return PROBE_BYTES / (await bestSeconds(TIMED_MS, () => pool.run(work)));
  } finally {
    await pool.dispose();
  }
}
