/**
 * @file Embedding rows in device memory: gathers and sparse updates of random rows of a table far larger than the
 * cache, related to the copy timed in turn with them.
 *
 * An update's ids are known before its gradients, so training sorts them on another stream beside the dense step; it is
 * measured so, and once more with the sort counted. Rates count the fewest bytes: an id read, a row read, a row
 * written; for an update a gradient read for each lookup, and each distinct row read and written once.
 */
import { GpuTimer } from "../../src/engine/doctor/gpuTimer.ts";
import { createUniform } from "../../src/engine/doctor/uniformStates.ts";
import { Rng } from "../../src/base/rng.ts";
import {
  CallQueue,
  type CapturedGraph,
  CudaDevice,
  fillCall,
  fillKernel,
  gatherCall,
  gatherKernels,
  type KernelCall,
  keysCall,
  partialBytes,
  segmentBytes,
  segmentCalls,
  segmentKernels,
  sortCalls,
  sortKernels,
  sortScratchBytes,
  sortTotalsBytes,
  updateCalls,
  updateKernels,
} from "../../src/engine/targets/cuda/index.ts";
import type { CudaSizes } from "./sizes.ts";
import { attempt, type BenchRow } from "../harness/rows.ts";

/** Floats of a row, and the share of the copy's rate that is asked for. */
const shapes = [
  { dim: 16, target: 0.6 },
  { dim: 64, target: 0.8 },
] as const;

const RATE = 0.01;
const SAMPLES = 24;
const TOLERANCE = 1e-5;
const LOOKUPS_CHECKED = 500;

/** How ids are drawn. */
type Draw = "random" | "Zipf";

/** Gather, update, and update with its sort, of each width; Zipf ids for information. */
export async function* rowRows(sizes: CudaSizes): AsyncGenerator<BenchRow, void, undefined> {
  for (const draw of ["random", "Zipf"] as const) {
    for (const { dim, target } of shapes) {
      const device = await CudaDevice.open();
      try {
        const lookups = await Lookups.create(device, sizes, dim, draw);
        using timer = new GpuTimer(device);
        const name = `${4 * dim}-byte rows`;
        const judged = draw === "random" ? target : null;
        for (const kind of ["gather", "update", "update with sort"] as const) {
          yield await attempt(`${kind} of ${name}`, () => lookups.measure(kind, timer, sizes, judged));
        }
      } finally {
        await device.dispose();
      }
    }
  }
}

/** One batch of lookups in one table, with memory and recorded work for all that is timed. */
class Lookups {
  readonly #device: CudaDevice;
  readonly #draw: Draw;
  readonly #dim: number;
  readonly #ids: Int32Array;
  readonly #rows: number;
  readonly #distinct: number;
  readonly #weights: number;
  readonly #gradients: number;
  readonly #out: number;
  readonly #work: Record<"keys" | "gather" | "sort" | "update", CapturedGraph>;

  private constructor(
    device: CudaDevice,
    about: { draw: Draw; dim: number; ids: Int32Array; rows: number },
    places: { weights: number; gradients: number; out: number },
    work: Record<"keys" | "gather" | "sort" | "update", CapturedGraph>,
  ) {
    this.#device = device;
    this.#draw = about.draw;
    this.#dim = about.dim;
    this.#ids = about.ids;
    this.#rows = about.rows;
    this.#distinct = countDistinct(about.ids, about.rows);
    this.#weights = places.weights;
    this.#gradients = places.gradients;
    this.#out = places.out;
    this.#work = work;
  }

  static async create(device: CudaDevice, sizes: CudaSizes, dim: number, draw: Draw): Promise<Lookups> {
    const n = sizes.lookups;
    const rows = sizes.tableBytes / (4 * dim);
    const ids = drawIds(n, rows, draw);
    const { stream } = device;
    const allocate = (bytes: number) => device.allocator.allocate(bytes, "rows").pointer;
    await createUniform(device, ["gradients"], { shape: [n, dim], dtype: "float32" });
    const gradients = device.statePointer("gradients");
    const [weights, out] = [allocate(sizes.tableBytes), allocate(4 * dim * n)];
    const gather = gatherKernels(dim, 1, false);
    const sort = sortKernels(rows);
    const segment = segmentKernels();
    const update = updateKernels(dim, "sgd");
    const fill = fillKernel(dim);
    const queue = await CallQueue.compile(device, [
      fill,
      gather.keys.oneHot,
      gather.gather.oneHot,
      sort.count,
      sort.scan,
      sort.scatter,
      segment.count,
      segment.write,
      update.items,
      update.longRows,
    ]);
    const words = () => allocate(4 * n);
    const lookups = {
      ids: words(),
      offsets: 0,
      firstRows: allocate(4),
      rows: allocate(4),
      owners: null,
      keys: words(),
      bags: words(),
      bad: allocate(8),
    };
    stream.copyToDevice(lookups.ids, ids, 4 * n);
    stream.clear(lookups.firstRows, 4);
    stream.clear(lookups.bad, 8);
    stream.copyToDevice(lookups.rows, Int32Array.of(rows), 4);
    const shape = { size: n, lookups: n, isOneHot: true };
    const sorted = sortCalls(sort, n, {
      keys: lookups.keys,
      values: lookups.bags,
      keysOut: [words(), words()],
      valuesOut: [words(), words()],
      scratch: allocate(sortScratchBytes(sort, n)),
      totals: allocate(sortTotalsBytes(sort)),
    });
    const bytes = segmentBytes(n);
    const items = {
      tileItems: allocate(bytes.tileItems),
      items: allocate(bytes.items),
      itemRows: allocate(bytes.itemRows),
      longRows: allocate(bytes.longRows),
      longCount: allocate(bytes.longCount),
      count: allocate(bytes.count),
    };
    const updated = updateCalls(
      update,
      { n, rows, bags: n, mark: 1 },
      {
        ...items,
        weights,
        state0: null,
        state1: null,
        gradients,
        bags: sorted.values,
        partials: allocate(partialBytes(dim, n)),
        changed: null,
        guard: null,
      },
      { learningRate: RATE },
      0,
    );
    queue.launch(stream, [fillCall(fill, dim, { count: rows, table: 0, seed: 1, bound: 1 }, weights)]);
    stream.synchronize();
    const record = (calls: readonly KernelCall<number>[]) =>
      stream.capture(() => queue.launch(stream, calls));
    return new Lookups(
      device,
      { draw, dim, ids, rows },
      { weights, gradients, out },
      {
        keys: record([keysCall(gather, shape, lookups, 0)]),
        gather: record([
          gatherCall(gather, shape, { padded: n, rows }, { weights, keys: lookups.keys, offsets: 0, out }, 0),
        ]),
        sort: record([...sorted.calls, ...segmentCalls(segment, n, sorted.keys, items)]),
        update: record(updated),
      },
    );
  }

  async measure(
    kind: "gather" | "update" | "update with sort",
    timer: GpuTimer,
    sizes: CudaSizes,
    target: number | null,
  ): Promise<BenchRow> {
    const { stream } = this.#device;
    const { keys, gather, sort, update } = this.#work;
    keys.launch(stream);
    sort.launch(stream);
    if (kind === "gather") await this.#checkGather();
    else await this.#checkUpdate();
    const n = this.#ids.length;
    const rowBytes = 4 * this.#dim;
    const copyBytes = sizes.tableBytes / 4;
    const half = this.#weights + sizes.tableBytes / 2;
    const [copyMs, milliseconds] = await timer.interleave(sizes, [
      () => stream.copyOnDevice(this.#weights, half, copyBytes),
      () => {
        if (kind === "update with sort") {
          keys.launch(stream);
          sort.launch(stream);
        }
        (kind === "gather" ? gather : update).launch(stream);
      },
    ]);
    const bytes =
      kind === "gather" ? n * (4 + 2 * rowBytes) : n * (4 + rowBytes) + 2 * rowBytes * this.#distinct;
    const [own, copy] = [bytes / milliseconds! / 1e6, (2 * copyBytes) / copyMs! / 1e6];
    const ratio = own / copy;
    const count = (value: number) => Math.round(value).toLocaleString("en-US");
    return {
      case: `${kind} of ${rowBytes}-byte rows`,
      size: `${count(n)} ${this.#draw} ids, ${count(this.#distinct)} distinct, of ${count(this.#rows)} rows`,
      milliseconds: milliseconds!,
      figure: `${count(own)} GB/s, ${(n / milliseconds! / 1e6).toFixed(2)} G rows/s`,
      limit: `${count(copy)} GB/s, copy`,
      ratio,
      target: target === null ? "" : `≥ ${target.toFixed(2)}`,
      met: target === null ? null : ratio >= target,
    };
  }

  #read(pointer: number, row: number): Float32Array {
    const values = new Float32Array(this.#dim);
    const bytes = 4 * this.#dim;
    this.#device.stream.copyToHost(values, pointer + bytes * row, bytes);
    this.#device.stream.synchronize();
    return values;
  }

  #samples(): number[] {
    const last = this.#ids.length - 1;
    return Array.from({ length: SAMPLES }, (_, i) => Math.floor((last * i) / (SAMPLES - 1)));
  }

  async #checkGather(): Promise<void> {
    this.#work.gather.launch(this.#device.stream);
    for (const at of this.#samples()) {
      const [got, want] = [this.#read(this.#out, at), this.#read(this.#weights, this.#ids[at]!)];
      if (got.some((value, i) => value !== want[i])) throw new Error(`row ${at} of a gather is wrong`);
    }
  }

  /** One update against sums in float64. */
  async #checkUpdate(): Promise<void> {
    const rows = [...new Set(this.#samples().map((at) => this.#ids[at]!))];
    const before = rows.map((row) => this.#read(this.#weights, row));
    this.#work.update.launch(this.#device.stream);
    for (const [i, row] of rows.entries()) {
      // Rows that a Zipf law favours have more gradients than are worth reading one by one.
      if (this.#ids.reduce((sum, id) => sum + (id === row ? 1 : 0), 0) > LOOKUPS_CHECKED) continue;
      const want = Float64Array.from(before[i]!);
      for (let at = this.#ids.indexOf(row); at >= 0; at = this.#ids.indexOf(row, at + 1)) {
        for (const [e, g] of this.#read(this.#gradients, at).entries()) want[e]! -= RATE * g;
      }
      const got = this.#read(this.#weights, row);
      if (want.some((value, e) => !(Math.abs(got[e]! - value) <= TOLERANCE))) {
        throw new Error(`row ${row} is wrong after an update: got ${got[0]} …, expected ${want[0]} …`);
      }
    }
  }
}

/** Ids of rows; under Zipf's law (exponent 1) scattered over the table. */
function drawIds(n: number, rows: number, draw: Draw): Int32Array {
  const rng = new Rng(9);
  if (draw === "random") return new Int32Array(n).map(() => rng.integer(rows));
  return new Int32Array(n).map(() => {
    const rank = Math.min(rows - 1, Math.floor((rows + 1) ** rng.uniform() - 1));
    return (Math.imul(rank, 0x9e3779b1) >>> 0) % rows;
  });
}

function countDistinct(ids: Int32Array, rows: number): number {
  const seen = new Uint8Array(rows);
  let distinct = 0;
  for (const id of ids) {
    if (seen[id] === 0) distinct++;
    seen[id] = 1;
  }
  return distinct;
}
