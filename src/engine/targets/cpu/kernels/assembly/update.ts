/**
 * @file Sparse optimizers: one application a distinct row of a table, after its gradients are summed in input
 * order. Rows and sums are padded with zeros to whole vectors, and the padding never enters a mean.
 */
import { TableView } from "./tableView";

/** Adds (or, for a row's first lookup, writes) an unpadded gradient into a padded sum. */
@inline
function accumulate(sum: usize, gradient: usize, dim: i32, isFirst: bool): void {
  let bytes = dim << 2;
  if (isFirst) {
    for (; bytes >= 16; bytes -= 16) {
      v128.store(sum, v128.load(gradient));
      sum += 16;
      gradient += 16;
    }
    if (bytes > 0) {
      v128.store(sum, f32x4.splat(0));
      for (; bytes > 0; bytes -= 4) {
        store<f32>(sum, load<f32>(gradient));
        sum += 4;
        gradient += 4;
      }
    }
    return;
  }
  for (; bytes >= 16; bytes -= 16) {
    v128.store(sum, f32x4.add(v128.load(sum), v128.load(gradient)));
    sum += 16;
    gradient += 16;
  }
  for (; bytes > 0; bytes -= 4) {
    store<f32>(sum, load<f32>(sum) + load<f32>(gradient));
    sum += 4;
    gradient += 4;
  }
}

/** Sums the gradients of each distinct row into `sums[position]`, in input order, and marks the rows changed. */
function coalesce(view: TableView): void {
  const inverse = view.inverse;
  const sums = view.sums;
  const stride = <usize>view.stride;
  const dim = view.dim;
  const offsets = view.offsets;
  const outputStride = <usize>view.outputStride;
  let gradient = view.gradients;
  // Positions are numbered by first appearance, so a position equal to the number seen so far is new.
  let seen: u32 = 0;
  if (offsets == 0) {
    for (let b = 0; b < view.size; b++) {
      const position = load<u32>(inverse + (<usize>b << 2));
      const isFirst = position == seen;
      if (isFirst) seen++;
      accumulate(sums + <usize>position * stride, gradient, dim, isFirst);
      gradient += outputStride;
    }
  } else {
    const first = view.first;
    for (let b = 0; b < view.size; b++) {
      const end = load<i32>(offsets + (<usize>b << 2), 4) - first;
      for (let l = load<i32>(offsets + (<usize>b << 2)) - first; l < end; l++) {
        const position = load<u32>(inverse + (<usize>l << 2));
        const isFirst = position == seen;
        if (isFirst) seen++;
        accumulate(sums + <usize>position * stride, gradient, dim, isFirst);
      }
      gradient += outputStride;
    }
  }
  const changed = view.changed;
  if (changed != 0) {
    for (let u = 0; u < view.count; u++) {
      store<u8>(changed + <usize>load<u32>(view.rows + (<usize>u << 2)), <u8>view.mark);
    }
  }
}

/** w -= lr · g */
export function updateSgd(view: TableView, learningRate: f32): i32 {
  coalesce(view);
  const stride = <usize>view.stride;
  const weights = view.weights;
  const rows = view.rows;
  const rate = f32x4.splat(learningRate);
  let sum = view.sums;
  for (let u = 0; u < view.count; u++) {
    let weight = weights + <usize>load<u32>(rows + (<usize>u << 2)) * stride;
    for (const end = weight + stride; weight < end; weight += 16) {
      v128.store(weight, f32x4.sub(v128.load(weight), f32x4.mul(rate, v128.load(sum))));
      sum += 16;
    }
  }
  return 0;
}

/** s += g², w -= lr · g / (√s + ε), per element */
export function updateAdagrad(view: TableView, learningRate: f32, epsilon: f32): i32 {
  coalesce(view);
  const stride = <usize>view.stride;
  const rows = view.rows;
  const rate = f32x4.splat(learningRate);
  const small = f32x4.splat(epsilon);
  let sum = view.sums;
  for (let u = 0; u < view.count; u++) {
    const row = <usize>load<u32>(rows + (<usize>u << 2)) * stride;
    let weight = view.weights + row;
    let state = view.state0 + row;
    for (const end = weight + stride; weight < end; weight += 16) {
      const g = v128.load(sum);
      const s = f32x4.add(v128.load(state), f32x4.mul(g, g));
      v128.store(state, s);
      const step = f32x4.div(f32x4.mul(rate, g), f32x4.add(f32x4.sqrt(s), small));
      v128.store(weight, f32x4.sub(v128.load(weight), step));
      state += 16;
      sum += 16;
    }
  }
  return 0;
}

/** One accumulator a row: m += mean over D of g², w -= lr / (√m + ε) · g (DLRM's RWSAdagrad) */
export function updateRowwiseAdagrad(view: TableView, learningRate: f32, epsilon: f32): i32 {
  coalesce(view);
  const stride = <usize>view.stride;
  const rows = view.rows;
  const weights = view.weights;
  const states = view.state0;
  const dim = <f32>view.dim;
  let sum = view.sums;
  for (let u = 0; u < view.count; u++) {
    const id = <usize>load<u32>(rows + (<usize>u << 2));
    let squares = f32x4.splat(0);
    for (let offset: usize = 0; offset < stride; offset += 16) {
      const g = v128.load(sum + offset);
      squares = f32x4.add(squares, f32x4.mul(g, g));
    }
    const total =
      f32x4.extract_lane(squares, 0) +
      f32x4.extract_lane(squares, 1) +
      (f32x4.extract_lane(squares, 2) + f32x4.extract_lane(squares, 3));
    const state = states + (id << 2);
    const moment = load<f32>(state) + total / dim;
    store<f32>(state, moment);
    const rate = f32x4.splat(learningRate / (sqrt<f32>(moment) + epsilon));
    let weight = weights + id * stride;
    for (const end = weight + stride; weight < end; weight += 16) {
      v128.store(weight, f32x4.sub(v128.load(weight), f32x4.mul(rate, v128.load(sum))));
      sum += 16;
    }
  }
  return 0;
}

/**
 * m = β₁m + (1-β₁)g, v = β₂v + (1-β₂)g², w -= lr/(1-β₁ᵗ) · m / (√v/√(1-β₂ᵗ) + ε), on touched rows only
 * @param rate lr / (1-β₁ᵗ)
 * @param scale 1 / √(1-β₂ᵗ)
 */
export function updateAdam(
  view: TableView,
  rate: f32,
  scale: f32,
  epsilon: f32,
  beta1: f32,
  rest1: f32,
  beta2: f32,
  rest2: f32,
): i32 {
  coalesce(view);
  const stride = <usize>view.stride;
  const rows = view.rows;
  let sum = view.sums;
  for (let u = 0; u < view.count; u++) {
    const row = <usize>load<u32>(rows + (<usize>u << 2)) * stride;
    let weight = view.weights + row;
    let first = view.state0 + row;
    let second = view.state1 + row;
    for (const end = weight + stride; weight < end; weight += 16) {
      const g = v128.load(sum);
      const m = f32x4.add(f32x4.mul(f32x4.splat(beta1), v128.load(first)), f32x4.mul(f32x4.splat(rest1), g));
      const v = f32x4.add(
        f32x4.mul(f32x4.splat(beta2), v128.load(second)),
        f32x4.mul(f32x4.splat(rest2), f32x4.mul(g, g)),
      );
      v128.store(first, m);
      v128.store(second, v);
      const root = f32x4.add(f32x4.mul(f32x4.sqrt(v), f32x4.splat(scale)), f32x4.splat(epsilon));
      v128.store(weight, f32x4.sub(v128.load(weight), f32x4.div(f32x4.mul(f32x4.splat(rate), m), root)));
      first += 16;
      second += 16;
      sum += 16;
    }
  }
  return 0;
}
