/**
 * @file Which of several algorithms does a matmul fastest here: each is timed on memory of the matmul's size.
 *
 * A later proposal wins only when it is clearly faster, so that noise does not change the choice from run to run.
 */
import { ParetoError } from "../../../../base/errors.ts";
import type { DeviceAllocator, DeviceBuffer } from "../memory/deviceAllocator.ts";
import type { MatmulDType, MatmulSpec } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import { CudaEvent } from "./event.ts";
import { addressOf } from "./koffi.ts";
import type { Algorithm, LtOperation } from "./ltOperation.ts";
import { elementBytes } from "./matmulTypes.ts";
import { Stream } from "./stream.ts";

const warmUps = 2;
const leastRuns = 5;
const mostRuns = 40;
/** Short matmuls are repeated to about this long. */
const measuredMs = 0.2;
/** A later proposal must be this much faster. */
const clearly = 0.97;

/** Random numbers are made once and copied until an operand is full. */
const patternBytes = 1 << 16;

/**
 * The fastest algorithm; the first where there is no memory to try them.
 * @throws ParetoError `CUDA_ILLEGAL_ADDRESS` and the like when an algorithm fails as it runs
 */
export function chooseFastest(
  context: CudaContext,
  allocator: DeviceAllocator,
  operation: LtOperation,
  spec: MatmulSpec,
  algorithms: readonly Algorithm[],
  workspaceBytes: number,
): Algorithm {
  // Memory that is handed out again may still be in use by work queued elsewhere.
  context.synchronize();
  const buffers: DeviceBuffer[] = [];
  const stream = new Stream(context);
  const [start, end] = [new CudaEvent(context, { timing: true }), new CudaEvent(context, { timing: true })];
  try {
    const allocate = (bytes: number): number => {
      const buffer = allocator.allocate(bytes, "matmul tuning");
      buffers.push(buffer);
      return buffer.pointer;
    };
    const { m, n, k, batch, strideA, strideB, strideOut, dtype, outDtype } = spec;
    const size = (stride: number, matrix: number, type: MatmulDType): number =>
      (stride * (batch - 1) + matrix) * elementBytes[type];
    const operand = (bytes: number, type: MatmulDType): number => {
      const pointer = allocate(bytes);
      fill(stream, pointer, bytes, type);
      return pointer;
    };
    const a = operand(size(strideA, m * k, dtype), dtype);
    const b = operand(size(strideB, k * n, dtype), dtype);
    const bias = operand(n * elementBytes[outDtype], outDtype);
    const out = allocate(size(strideOut, m * n, outDtype));
    const workspace = allocate(workspaceBytes);
    const time = (algorithm: Algorithm): number => {
      const address = addressOf(algorithm);
      const operands = { a, b, bias, out };
      const run = (): boolean =>
        operation.run(operands, address, workspace, workspaceBytes, stream.handle) === 0;
      // Recorded, because a short matmul takes less time than a call that queues it.
      const timed = (runs: number): number => {
        const graph = stream.capture(() => {
          for (let i = 0; i < runs; i++) run();
        });
        try {
          graph.launch(stream);
          start.record(stream);
          graph.launch(stream);
          end.record(stream);
          stream.synchronize();
          return end.elapsedMs(start) / runs;
        } finally {
          graph.dispose();
        }
      };
      // Not every proposal can be queued.
      for (let i = 0; i < warmUps; i++) if (!run()) return Infinity;
      const roughly = Math.max(timed(1), 1e-3);
      return timed(Math.min(mostRuns, Math.max(leastRuns, Math.ceil(measuredMs / roughly))));
    };
    let best = algorithms[0]!;
    let bestMs = time(best);
    for (const algorithm of algorithms.slice(1)) {
      const ms = time(algorithm);
      if (ms < bestMs * clearly) [best, bestMs] = [algorithm, ms];
    }
    return best;
  } catch (error) {
    if (error instanceof ParetoError && error.code === "CUDA_OUT_OF_MEMORY") return algorithms[0]!;
    throw error;
  } finally {
    for (const buffer of buffers) buffer.free();
    start.dispose();
    end.dispose();
    stream.dispose();
  }
}

/** Fills memory with numbers of magnitude 0.5 to 1 and random sign: zeros would draw less power and run faster. */
function fill(stream: Stream, pointer: number, bytes: number, dtype: MatmulDType): void {
  const first = Math.min(bytes, patternBytes);
  stream.copyToDevice(pointer, patterns(dtype), first);
  for (let done = first; done < bytes; done *= 2) {
    stream.copyOnDevice(pointer + done, pointer, Math.min(done, bytes - done));
  }
}

function patterns(dtype: MatmulDType): Uint32Array | Uint16Array {
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  if (dtype === "float32") {
    return Uint32Array.from({ length: patternBytes / 4 }, () => {
      const bits = random();
      return (bits & 0x8000_0000) | 0x3f00_0000 | ((bits >>> 8) & 0x7f_ffff);
    });
  }
  const [half, mantissa] = dtype === "float16" ? [0x3800, 0x3ff] : [0x3f00, 0x7f];
  return Uint16Array.from({ length: patternBytes / 2 }, () => {
    const bits = random();
    return ((bits >>> 16) & 0x8000) | half | ((bits >>> 12) & mantissa);
  });
}
