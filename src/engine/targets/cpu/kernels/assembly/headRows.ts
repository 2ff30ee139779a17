/**
 * @file Products of one or two queries with cached keys and values. A result depends on its own query alone and not
 * on whether another one is computed beside it: lanes are summed in one order everywhere.
 */

/** Keys whose weighted values are summed before they join the rest, so that float32 rounds short sums only. */
const VALUE_RUN = 256;

/** The sum of a vector's lanes. */
@inline
function laneSum(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) +
    f32x4.extract_lane(x, 1) +
    (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** The lane sums of four vectors, in the order of {@link laneSum}. */
@inline
function laneSums(a: v128, b: v128, c: v128, d: v128): v128 {
  const lowAb = i32x4.shuffle(a, b, 0, 4, 1, 5);
  const lowCd = i32x4.shuffle(c, d, 0, 4, 1, 5);
  const highAb = i32x4.shuffle(a, b, 2, 6, 3, 7);
  const highCd = i32x4.shuffle(c, d, 2, 6, 3, 7);
  const low = f32x4.add(i32x4.shuffle(lowAb, lowCd, 0, 1, 4, 5), i32x4.shuffle(lowAb, lowCd, 2, 3, 6, 7));
  const high = f32x4.add(i32x4.shuffle(highAb, highCd, 0, 1, 4, 5), i32x4.shuffle(highAb, highCd, 2, 3, 6, 7));
  return f32x4.add(low, high);
}

function dot(q: usize, key: usize, headDim: i32): f32 {
  let sum = f32x4.splat(0);
  let at: usize = 0;
  const vectors = <usize>(headDim & ~3) << 2;
  for (; at < vectors; at += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(q + at), v128.load(key + at)));
  let total = laneSum(sum);
  for (const end = <usize>headDim << 2; at < end; at += 4) total += load<f32>(q + at) * load<f32>(key + at);
  return total;
}

/** Scaled products of a query with the keys of slots `from` (a multiple of 4) to `to`, at `out` by slot. */
export function logitRow(q: usize, keys: usize, from: i32, to: i32, headDim: i32, scale: f32, out: usize): void {
  const row = <usize>headDim << 2;
  let slot = from;
  if ((headDim & 3) == 0) {
    const scales = f32x4.splat(scale);
    for (; slot + 4 <= to; slot += 4) {
      const k0 = keys + <usize>slot * row;
      const k1 = k0 + row;
      const k2 = k1 + row;
      const k3 = k2 + row;
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      for (let at: usize = 0; at < row; at += 16) {
        const x = v128.load(q + at);
        a = f32x4.add(a, f32x4.mul(x, v128.load(k0 + at)));
        b = f32x4.add(b, f32x4.mul(x, v128.load(k1 + at)));
        c = f32x4.add(c, f32x4.mul(x, v128.load(k2 + at)));
        d = f32x4.add(d, f32x4.mul(x, v128.load(k3 + at)));
      }
      v128.store(out + (<usize>slot << 2), f32x4.mul(laneSums(a, b, c, d), scales));
    }
  }
  for (; slot < to; slot++) {
    store<f32>(out + (<usize>slot << 2), dot(q, keys + <usize>slot * row, headDim) * scale);
  }
}

/** As {@link logitRow} for two queries at once, each key being read once. */
export function logitRows(
  q: usize,
  other: usize,
  keys: usize,
  from: i32,
  to: i32,
  headDim: i32,
  scale: f32,
  out: usize,
  otherOut: usize,
): void {
  const row = <usize>headDim << 2;
  let slot = from;
  if ((headDim & 3) == 0) {
    const scales = f32x4.splat(scale);
    for (; slot + 4 <= to; slot += 4) {
      const k0 = keys + <usize>slot * row;
      const k1 = k0 + row;
      const k2 = k1 + row;
      const k3 = k2 + row;
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      let e = a;
      let f = a;
      let g = a;
      let h = a;
      for (let at: usize = 0; at < row; at += 16) {
        const x = v128.load(q + at);
        const y = v128.load(other + at);
        let key = v128.load(k0 + at);
        a = f32x4.add(a, f32x4.mul(x, key));
        e = f32x4.add(e, f32x4.mul(y, key));
        key = v128.load(k1 + at);
        b = f32x4.add(b, f32x4.mul(x, key));
        f = f32x4.add(f, f32x4.mul(y, key));
        key = v128.load(k2 + at);
        c = f32x4.add(c, f32x4.mul(x, key));
        g = f32x4.add(g, f32x4.mul(y, key));
        key = v128.load(k3 + at);
        d = f32x4.add(d, f32x4.mul(x, key));
        h = f32x4.add(h, f32x4.mul(y, key));
      }
      const at = <usize>slot << 2;
      v128.store(out + at, f32x4.mul(laneSums(a, b, c, d), scales));
      v128.store(otherOut + at, f32x4.mul(laneSums(e, f, g, h), scales));
    }
  }
  logitRow(q, keys, slot, to, headDim, scale, out);
  logitRow(other, keys, slot, to, headDim, scale, otherOut);
}

/** Adds Σ weight · value of slots `from` to `to` to the columns of a row from `column` on, 16 or 4 or 1 of them. */
@inline
function addColumns16(weights: usize, values: usize, from: i32, to: i32, row: usize, out: usize): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let value = values + <usize>from * row;
  for (let slot = from; slot < to; slot++, value += row) {
    const weight = v128.load32_splat(weights + (<usize>slot << 2));
    a = f32x4.add(a, f32x4.mul(weight, v128.load(value)));
    b = f32x4.add(b, f32x4.mul(weight, v128.load(value, 16)));
    c = f32x4.add(c, f32x4.mul(weight, v128.load(value, 32)));
    d = f32x4.add(d, f32x4.mul(weight, v128.load(value, 48)));
  }
  v128.store(out, f32x4.add(v128.load(out), a));
  v128.store(out, f32x4.add(v128.load(out, 16), b), 16);
  v128.store(out, f32x4.add(v128.load(out, 32), c), 32);
  v128.store(out, f32x4.add(v128.load(out, 48), d), 48);
}

/** As {@link addColumns16} for two rows of weights over the same slots. */
@inline
function addTwice16(
  weights: usize,
  others: usize,
  values: usize,
  from: i32,
  to: i32,
  row: usize,
  out: usize,
  otherOut: usize,
): void {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let value = values + <usize>from * row;
  for (let slot = from; slot < to; slot++, value += row) {
    const weight = v128.load32_splat(weights + (<usize>slot << 2));
    const other = v128.load32_splat(others + (<usize>slot << 2));
    let x = v128.load(value);
    a = f32x4.add(a, f32x4.mul(weight, x));
    e = f32x4.add(e, f32x4.mul(other, x));
    x = v128.load(value, 16);
    b = f32x4.add(b, f32x4.mul(weight, x));
    f = f32x4.add(f, f32x4.mul(other, x));
    x = v128.load(value, 32);
    c = f32x4.add(c, f32x4.mul(weight, x));
    g = f32x4.add(g, f32x4.mul(other, x));
    x = v128.load(value, 48);
    d = f32x4.add(d, f32x4.mul(weight, x));
    h = f32x4.add(h, f32x4.mul(other, x));
  }
  v128.store(out, f32x4.add(v128.load(out), a));
  v128.store(out, f32x4.add(v128.load(out, 16), b), 16);
  v128.store(out, f32x4.add(v128.load(out, 32), c), 32);
  v128.store(out, f32x4.add(v128.load(out, 48), d), 48);
  v128.store(otherOut, f32x4.add(v128.load(otherOut), e));
  v128.store(otherOut, f32x4.add(v128.load(otherOut, 16), f), 16);
  v128.store(otherOut, f32x4.add(v128.load(otherOut, 32), g), 32);
  v128.store(otherOut, f32x4.add(v128.load(otherOut, 48), h), 48);
}

/** Columns that no run of 16 holds. */
function addRest(weights: usize, values: usize, from: i32, to: i32, headDim: i32, out: usize): void {
  const row = <usize>headDim << 2;
  for (let column = headDim & ~15; column < headDim; column++) {
    const offset = <usize>column << 2;
    let sum: f32 = 0;
    let value = values + <usize>from * row + offset;
    for (let slot = from; slot < to; slot++, value += row) {
      sum += load<f32>(weights + (<usize>slot << 2)) * load<f32>(value);
    }
    store<f32>(out + offset, load<f32>(out + offset) + sum);
  }
}

/** Adds to `out` `[headDim]` the values of slots `from` (a multiple of 4) to `to`, weighted. */
export function addValues(weights: usize, values: usize, from: i32, to: i32, headDim: i32, out: usize): void {
  const row = <usize>headDim << 2;
  for (let start = from & ~(VALUE_RUN - 1); start < to; start += VALUE_RUN) {
    const first = max(start, from);
    const end = min(start + VALUE_RUN, to);
    for (let column = 0; column + 16 <= headDim; column += 16) {
      const offset = <usize>column << 2;
      addColumns16(weights, values + offset, first, end, row, out + offset);
    }
    if ((headDim & 15) != 0) addRest(weights, values, first, end, headDim, out);
  }
}

/** As {@link addValues} for two rows of weights; a slot that one of them must not see has a weight of 0. */
export function addValuesTwice(
  weights: usize,
  others: usize,
  values: usize,
  from: i32,
  to: i32,
  headDim: i32,
  out: usize,
  otherOut: usize,
): void {
  const row = <usize>headDim << 2;
  for (let start = from & ~(VALUE_RUN - 1); start < to; start += VALUE_RUN) {
    const first = max(start, from);
    const end = min(start + VALUE_RUN, to);
    for (let column = 0; column + 16 <= headDim; column += 16) {
      const offset = <usize>column << 2;
      addTwice16(weights, others, values + offset, first, end, row, out + offset, otherOut + offset);
    }
    if ((headDim & 15) == 0) continue;
    addRest(weights, values, first, end, headDim, out);
    addRest(others, values, first, end, headDim, otherOut);
  }
}
