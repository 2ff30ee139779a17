import { execFile } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ParetoError } from "../../../../../../src/base/errors.ts";
import { Arena } from "../../../../../../src/engine/targets/cpu/kernels/arena.ts";
import { kernelModule } from "../../../../../../src/engine/targets/cpu/kernels/kernelModule.ts";
import {
  CONTROL_WORDS,
  MAX_TASKS,
  type PoolWorkerData,
  RECORD,
  RING,
  SIGNAL,
  STOP,
} from "../../../../../../src/engine/targets/cpu/kernels/poolProtocol.ts";
import {
  KernelFailure,
  type KernelTask,
  ThreadPool,
} from "../../../../../../src/engine/targets/cpu/kernels/threadPool.ts";

let pool: ThreadPool;
let arena: Arena;
let pointer: number;
beforeAll(async () => {
  pool = await ThreadPool.create(3);
  arena = new Arena(1 << 20);
  pointer = arena.allocate(80_000);
});
afterAll(() => pool.dispose());

/** Writes `value` over `count` floats from float `at`. */
function fill(at: number, count: number, value: number, target = arena): KernelTask {
  return { kernel: "fillValue", arena: target, arguments: [pointer + 4 * at, count, value] };
}

describe("ThreadPool", () => {
  test("runs each task of a job exactly once, also when a job is longer than the ring's records", async () => {
    for (const count of [1, 2, 511, 512, 513, 2000]) {
      arena.float32At(pointer, 2001).fill(-1);
      await pool.run(Array.from({ length: count }, (_, i) => fill(i, 1, i)));
      const wanted = Array.from({ length: 2001 }, (_, i) => (i < count ? i : -1));
      expect([...arena.float32At(pointer, 2001)]).toEqual(wanted);
    }
  });

  test("runs many jobs at once", async () => {
    const jobs = Array.from({ length: 100 }, (_, j) =>
      pool.run(Array.from({ length: 20 }, (_, i) => fill(20 * j + i, 1, 1000 * j + i))),
    );
    await Promise.all(jobs);
    const wanted = Array.from({ length: 2000 }, (_, k) => 1000 * Math.floor(k / 20) + (k % 20));
    expect([...arena.float32At(pointer, 2000)]).toEqual(wanted);
  });

  test("serves several arenas, and ones made later", async () => {
    const others = Array.from({ length: 5 }, () => new Arena(1 << 20));
    await pool.run(others.map((other, i) => fill(0, 3, i, other)));
    expect(others.map((other) => other.float32At(pointer, 1)[0])).toEqual([0, 1, 2, 3, 4]);
    for (const other of others) pool.release(other);
    await pool.run([fill(0, 3, 9, others[1]!)]);
    expect(others[1]!.float32At(pointer, 1)[0]).toBe(9);
  });

  test("a failing task rejects its job, by its number, after the others have run", async () => {
    const bad: KernelTask = { kernel: "fillValue", arena, arguments: [2 ** 31, 64, 1] };
    const tasks = [fill(0, 1, 7), bad, fill(1, 1, 8), bad, fill(2, 1, 9)];
    const attempt = pool.run(tasks);
    await expect(attempt).rejects.toThrow(KernelFailure);
    await expect(attempt).rejects.toMatchObject({ task: 1, code: -1 });
    await expect(attempt).rejects.toThrow(/fillValue: memory access out of bounds/);
    expect([...arena.float32At(pointer, 3)]).toEqual([7, 8, 9]);
    const long = Array.from({ length: 700 }, (_, i) => (i === 650 ? bad : fill(i, 1, 0)));
    await expect(pool.run(long)).rejects.toMatchObject({ task: 650 });
    await pool.run([fill(0, 1, 1)]);
  });

  test("runs short jobs on the caller's thread too, between others", async () => {
    for (const count of [0, 1, 2, 17, 512]) {
      arena.float32At(pointer, 2001).fill(-1);
      const other = pool.run(Array.from({ length: 300 }, (_, i) => fill(1000 + i, 1, i)));
      for (const wakes of [true, false]) {
        pool.runHere(
          Array.from({ length: count }, (_, i) => fill(i, 1, i)),
          wakes,
        );
        const wanted = Array.from({ length: 600 }, (_, i) => (i < count ? i : -1));
        expect([...arena.float32At(pointer, 600)]).toEqual(wanted);
      }
      await other;
      expect(arena.float32At(pointer, 1300)[1299]).toBe(299);
    }
    const bad: KernelTask = { kernel: "fillValue", arena, arguments: [2 ** 31, 64, 1] };
    const long = Array.from({ length: 100 }, (_, i) => (i === 40 || i === 70 ? bad : fill(i, 1, 3)));
    const failure = expect.objectContaining({ task: 40, code: -1 });
    expect(() => pool.runHere(long)).toThrow(failure);
    expect(arena.float32At(pointer, 100)[99]).toBe(3);
    pool.runHere([fill(0, 1, 1)]);
  });

  test("refuses work after disposal and silly thread counts", async () => {
    const short = await ThreadPool.create(1);
    const last = short.run([fill(5, 1, 55)]);
    await short.dispose();
    await last;
    expect(arena.float32At(pointer, 6)[5]).toBe(55);
    await expect(short.run([fill(0, 1, 1)])).rejects.toMatchObject({ code: "POOL_DISPOSED" });
    await short.dispose();
    for (const threads of [0, -1, 1.5, NaN]) {
      await expect(ThreadPool.create(threads)).rejects.toThrow(ParetoError);
    }
  });

  test("idle threads let the process end; a pending job holds it", async () => {
    const code = `
      const { ThreadPool } = await import(${JSON.stringify(urlOf("threadPool.ts"))});
      const { Arena } = await import(${JSON.stringify(urlOf("arena.ts"))});
      const pool = await ThreadPool.create(2);
      const arena = new Arena(1 << 20);
      const tasks = Array.from({ length: 400 }, () =>
        ({ kernel: "fillUniform", arena, arguments: [64, 0, 1000, 64, 256, 0, 1, 0, 1] }));
      pool.run(tasks).then(() => console.log("done"));`;
    const node = promisify(execFile);
    const { stdout } = await node(process.execPath, ["--input-type=module", "-e", code], { timeout: 30_000 });
    expect(stdout.trim()).toBe("done");
  });

  test("a thread that is told to end between two looks at its control words does not sleep over it", async () => {
    // The first look at STOP finds 0 and takes so long that the order to end comes before the next look at anything.
    const slow = `
      const { load } = Atomics;
      let isFirst = true;
      Atomics.load = (words, at) => {
        const seen = load(words, at);
        if (at === ${STOP} && words.length === ${CONTROL_WORDS} && isFirst) {
          isFirst = false;
          Atomics.store(words, ${STOP}, 1);
          Atomics.add(words, ${SIGNAL}, 1);
          Atomics.notify(words, ${SIGNAL});
        }
        return seen;
      };`;
    const workerData: PoolWorkerData = {
      control: new Int32Array(new SharedArrayBuffer(4 * CONTROL_WORDS)),
      records: new Float64Array(new SharedArrayBuffer(8 * RING * MAX_TASKS * RECORD)),
      module: await kernelModule(),
    };
    const worker = new Worker(new URL(urlOf("poolWorker.ts")), {
      workerData,
      execArgv: ["--import", `data:text/javascript,${encodeURIComponent(slow)}`],
    });
    const ended = new Promise((resolve) => void worker.once("exit", resolve));
    const late = sleep(10_000, "it sleeps", { ref: false });
    expect(await Promise.race([ended, late])).toBe(0);
  });
});

function urlOf(file: string): string {
  return new URL(`../../../../../../src/engine/targets/cpu/kernels/${file}`, import.meta.url).href;
}
