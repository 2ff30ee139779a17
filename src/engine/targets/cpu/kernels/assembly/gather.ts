/** @file Gathering rows with sum pooling into `[B, T, D]`, and gathering again what another update changed. */
import { firstProbe } from "./distinct";
import { TableView } from "./tableView";

/** Copies one row of `dim` floats. The target is unpadded, so the tail goes float by float. */
@inline
function copyRow(target: usize, source: usize, dim: i32): void {
  let bytes = dim << 2;
  for (; bytes >= 64; bytes -= 64) {
    const a = v128.load(source);
    const b = v128.load(source, 16);
    const c = v128.load(source, 32);
    const d = v128.load(source, 48);
    v128.store(target, a);
    v128.store(target, b, 16);
    v128.store(target, c, 32);
    v128.store(target, d, 48);
    source += 64;
    target += 64;
  }
  for (; bytes >= 16; bytes -= 16) {
    v128.store(target, v128.load(source));
    source += 16;
    target += 16;
  }
  for (; bytes > 0; bytes -= 4) {
    store<f32>(target, load<f32>(source));
    source += 4;
    target += 4;
  }
}

/** Sums a bag's rows in input order, 16 floats at a time; an empty bag gives zeros. */
function poolBag(target: usize, weights: usize, stride: usize, dim: i32, ids: usize, start: i32, end: i32): void {
  const first = ids + (<usize>start << 2);
  const last = ids + (<usize>end << 2);
  if (start >= end) {
    memory.fill(target, 0, <usize>dim << 2);
    return;
  }
  let done = 0;
  for (; done + 16 <= dim; done += 16) {
    const column = weights + (<usize>done << 2);
    let row = column + <usize>load<u32>(first) * stride;
    let a = v128.load(row);
    let b = v128.load(row, 16);
    let c = v128.load(row, 32);
    let d = v128.load(row, 48);
    for (let at = first + 4; at < last; at += 4) {
      row = column + <usize>load<u32>(at) * stride;
      a = f32x4.add(a, v128.load(row));
      b = f32x4.add(b, v128.load(row, 16));
      c = f32x4.add(c, v128.load(row, 32));
      d = f32x4.add(d, v128.load(row, 48));
    }
    const out = target + (<usize>done << 2);
    v128.store(out, a);
    v128.store(out, b, 16);
    v128.store(out, c, 32);
    v128.store(out, d, 48);
  }
  for (; done + 4 <= dim; done += 4) {
    const column = weights + (<usize>done << 2);
    let a = v128.load(column + <usize>load<u32>(first) * stride);
    for (let at = first + 4; at < last; at += 4) {
      a = f32x4.add(a, v128.load(column + <usize>load<u32>(at) * stride));
    }
    v128.store(target + (<usize>done << 2), a);
  }
  for (; done < dim; done++) {
    const column = weights + (<usize>done << 2);
    let a = load<f32>(column + <usize>load<u32>(first) * stride);
    for (let at = first + 4; at < last; at += 4) {
      a += load<f32>(column + <usize>load<u32>(at) * stride);
    }
    store<f32>(target + (<usize>done << 2), a);
  }
}

/**
 * Gathers the bags of inputs `from` to `to` of one table.
 * @returns 0, or 1 + the input whose id is out of range (one-id bags; `findDistinct` checks the others first)
 */
export function gatherRows(view: TableView, from: i32, to: i32): i32 {
  const dim = view.dim;
  const stride = <usize>view.stride;
  const weights = view.weights;
  const outputStride = <usize>view.outputStride;
  let target = view.output + <usize>from * outputStride;
  const offsets = view.offsets;
  if (offsets != 0) {
    for (let b = from; b < to; b++) {
      const at = offsets + (<usize>b << 2);
      poolBag(target, weights, stride, dim, view.ids, load<i32>(at), load<i32>(at, 4));
      target += outputStride;
    }
    return 0;
  }
  const ids = view.ids + (<usize>view.first << 2);
  const cardinality = view.cardinality;
  for (let b = from; b < to; b++) {
    const id = load<u32>(ids + (<usize>b << 2));
    if (id >= cardinality) return b + 1;
    copyRow(target, weights + <usize>id * stride, dim);
    target += outputStride;
  }
  return 0;
}

/**
 * Gathers again those inputs of `view`, from `from` to `to`, that read a row which the update of `updated` (same table)
 * wrote.
 */
export function refreshRows(view: TableView, updated: TableView, from: i32, to: i32): i32 {
  const hash = view.hash;
  const mask = view.mask;
  const rows = view.rows;
  const marks = view.marks;
  if (view.count == 0) return 0;
  memory.fill(marks, 0, <usize>view.count);
  let any = false;
  for (let u = 0; u < updated.count; u++) {
    const id = load<u32>(updated.rows + (<usize>u << 2));
    let probe = firstProbe(id, mask);
    for (;;) {
      const entry = load<u32>(hash + (<usize>probe << 2));
      if (entry == 0) break;
      if (load<u32>(rows + (<usize>(entry - 1) << 2)) == id) {
        store<u8>(marks + <usize>(entry - 1), 1);
        any = true;
        break;
      }
      probe = (probe + 1) & mask;
    }
  }
  if (!any) return 0;
  const dim = view.dim;
  const stride = <usize>view.stride;
  const weights = view.weights;
  const outputStride = <usize>view.outputStride;
  const inverse = view.inverse;
  const offsets = view.offsets;
  let target = view.output + <usize>from * outputStride;
  const first = view.first;
  if (offsets == 0) {
    const ids = view.ids + (<usize>first << 2);
    for (let b = from; b < to; b++) {
      if (load<u8>(marks + <usize>load<u32>(inverse + (<usize>b << 2)))) {
        copyRow(target, weights + <usize>load<u32>(ids + (<usize>b << 2)) * stride, dim);
      }
      target += outputStride;
    }
    return 0;
  }
  for (let b = from; b < to; b++) {
    const start = load<i32>(offsets + (<usize>b << 2));
    const end = load<i32>(offsets + (<usize>b << 2), 4);
    for (let l = start; l < end; l++) {
      if (load<u8>(marks + <usize>load<u32>(inverse + (<usize>(l - first) << 2)))) {
        poolBag(target, weights, stride, dim, view.ids, start, end);
        break;
      }
    }
    target += outputStride;
  }
  return 0;
}
