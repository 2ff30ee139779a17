/**
 * @file Attention over the KV cache of one text with scores for its policy, one KV head a task.
 *
 * `placeRows` turns the newest queries and keys by their places and puts keys and values into the cache; `turnKeys`
 * turns all cached keys where entries are numbered anew; `attendRows` attends, row by row, and sums the scores of a
 * read; `decodeToken` does all of it for one token. The output never sees a score.
 *
 * Sums of scores are of multiples of 2^-36 in float64, which is exact up to 2^17 summed rows: neither the order of rows
 * nor how tasks share them changes a bit.
 */
import { CacheView } from "./cacheView";
import { addValues, addValuesTwice, logitRow, logitRows } from "./headRows";
import { exp4 } from "./numbers";
import { keyNoise, noise4 } from "./scoreNoise";

/** Added and taken away again, this leaves a multiple of 2^-36: 1.5 · 2^(52 − 36). */
const SCORE_GRAIN: f64 = 98304;

/** Turns one head at `from` into `to` by a row of angles; they may be the same. */
function turnHead(view: CacheView, from: usize, to: usize, place: i32): void {
  const dim = view.rotaryDim;
  const half = dim >> 1;
  const headBytes = <usize>view.headDim << 2;
  if (from != to) memory.copy(to, from, headBytes);
  if (dim == 0) return;
  const cosines = view.angles + ((<usize>(place - view.anglesFrom) * <usize>dim) << 2);
  const sines = cosines + (<usize>half << 2);
  let i = 0;
  if (view.isInterleaved == 0) {
    for (; i + 4 <= half; i += 4) {
      const at = <usize>i << 2;
      const a = from + at;
      const b = a + (<usize>half << 2);
      const left = v128.load(a);
      const right = v128.load(b);
      const cosine = v128.load(cosines + at);
      const sine = v128.load(sines + at);
      v128.store(to + at, f32x4.sub(f32x4.mul(left, cosine), f32x4.mul(right, sine)));
      v128.store(
        to + at + (<usize>half << 2),
        f32x4.add(f32x4.mul(left, sine), f32x4.mul(right, cosine)),
      );
    }
  }
  const step: usize = view.isInterleaved == 0 ? 4 : 8;
  const apart: usize = view.isInterleaved == 0 ? <usize>half << 2 : 4;
  for (; i < half; i++) {
    const at = <usize>i * step;
    const left = load<f32>(from + at);
    const right = load<f32>(from + at + apart);
    const cosine = load<f32>(cosines + (<usize>i << 2));
    const sine = load<f32>(sines + (<usize>i << 2));
    store<f32>(to + at, left * cosine - right * sine);
    store<f32>(to + at + apart, left * sine + right * cosine);
  }
}

/** Turns and places the newest tokens `from` to `to` of one KV head and its query heads. */
export function placeRows(view: CacheView, kvHead: i32, from: i32, to: i32): i32 {
  const headBytes = <usize>view.headDim << 2;
  const group = view.heads / view.kvHeads;
  const firstSlot = load<i32>(view.lengths + (<usize>kvHead << 2)) - view.tokens;
  const cached = <usize>kvHead * <usize>view.capacity;
  // Keys that are turned when they are read are cached as they are.
  const turnsLater = view.turned != view.keys;
  for (let row = from; row < to; row++) {
    const entry = cached + <usize>(firstSlot + row);
    const place = load<i32>(view.places + (entry << 2));
    const newest = (<usize>row * <usize>view.kvHeads + <usize>kvHead) * headBytes;
    const key = view.keys + entry * headBytes;
    if (turnsLater) memory.copy(key, view.k + newest, headBytes);
    else turnHead(view, view.k + newest, key, place);
    memory.copy(view.values + entry * headBytes, view.v + newest, headBytes);
    for (let member = 0; member < group; member++) {
      const head = <usize>row * <usize>view.heads + <usize>(kvHead * group + member);
      const q = view.q + head * headBytes;
      turnHead(view, q, q, place);
    }
  }
  return 0;
}

/** Turns the cached keys of one KV head by their places, slots `from` to `to`. */
export function turnKeys(view: CacheView, kvHead: i32, from: i32, to: i32): i32 {
  const headBytes = <usize>view.headDim << 2;
  const cached = <usize>kvHead * <usize>view.capacity;
  for (let slot = from; slot < to; slot++) {
    const entry = cached + <usize>slot;
    const place = load<i32>(view.places + (entry << 2));
    turnHead(view, view.keys + entry * headBytes, view.turned + entry * headBytes, place);
  }
  return 0;
}

/** One query: its row and head, and where its logits and weights lie. */
@unmanaged
class Query {
  row!: i32;
  head!: i32;
  /** f32 by slot. */
  logits!: usize;
  weights!: usize;
}

/** Takes what ALiBi takes off a query's logits, hides what it does not see, and makes weights of them. */
function weigh(view: CacheView, kvHead: i32, query: Query, from: i32, to: i32, visible: i32): f32 {
  const cached = <usize>kvHead * <usize>view.capacity;
  const positions = view.positions + (cached << 2);
  const logits = query.logits;
  const weights = query.weights;
  if (view.slopes != 0) {
    const places = view.places + (cached << 2);
    const slope = f32x4.splat(load<f32>(view.slopes + (<usize>query.head << 2)));
    const own = i32x4.splat(load<i32>(places + (<usize>(visible - 1) << 2)));
    for (let slot = from; slot < visible; slot += 4) {
      const at = <usize>slot << 2;
      const distance = f32x4.convert_i32x4_s(i32x4.sub(own, v128.load(places + at)));
      v128.store(logits + at, f32x4.sub(v128.load(logits + at), f32x4.mul(slope, distance)));
    }
  }
  const end = (to + 3) & ~3;
  for (let slot = visible; slot < end; slot++) store<f32>(logits + (<usize>slot << 2), -Infinity);
  if (view.window != 0) {
    const unseen = i32x4.splat(view.first + query.row - view.window);
    const hidden = f32x4.splat(-Infinity);
    for (let slot = from; slot < visible; slot += 4) {
      const at = <usize>slot << 2;
      const isHidden = i32x4.le_s(v128.load(positions + at), unseen);
      v128.store(logits + at, v128.bitselect(hidden, v128.load(logits + at), isHidden));
    }
  }
  let most = f32x4.splat(-Infinity);
  for (let slot = from; slot < end; slot += 4) {
    most = f32x4.pmax(most, v128.load(logits + (<usize>slot << 2)));
  }
  const highest = f32x4.splat(highestLane(most));
  let low = f64x2.splat(0);
  let high = low;
  for (let slot = from; slot < end; slot += 4) {
    const at = <usize>slot << 2;
    const weight = exp4(f32x4.sub(v128.load(logits + at), highest));
    v128.store(weights + at, weight);
    low = f64x2.add(low, f64x2.promote_low_f32x4(weight));
    high = f64x2.add(high, f64x2.promote_low_f32x4(i32x4.shuffle(weight, weight, 2, 3, 2, 3)));
  }
  return <f32>(1 / twoLanes(f64x2.add(low, high)));
}

@inline
function highestLane(x: v128): f32 {
  const a = max(f32x4.extract_lane(x, 0), f32x4.extract_lane(x, 1));
  const b = max(f32x4.extract_lane(x, 2), f32x4.extract_lane(x, 3));
  return max(a, b);
}

@inline
function twoLanes(x: v128): f64 {
  return f64x2.extract_lane(x, 0) + f64x2.extract_lane(x, 1);
}

/**
 * Adds a query's row of scores to `sums` (f64 by slot), or, where a group counts by its highest, to `highest` first.
 * @returns false for a logit that is not finite
 */
function score(view: CacheView, kvHead: i32, query: Query, from: i32, to: i32, sums: usize, highest: usize): bool {
  const group = view.heads / view.kvHeads;
  const positions = view.positions + ((<usize>kvHead * <usize>view.capacity) << 2);
  const logits = query.logits;
  const weights = query.weights;
  const kind = view.noise;
  const end = (to + 3) & ~3;
  const position = view.isNoisePerKey != 0 ? 0 : view.first + query.row;
  keyNoise(position, view.layer, query.head, view.stream, view.seedLow, view.seedHigh);
  const temperature = f32x4.splat(view.temperature);
  let most = f32x4.splat(-Infinity);
  for (let slot = from; slot < end; slot += 4) {
    const at = <usize>slot << 2;
    const noisy = f32x4.add(v128.load(logits + at), noise4(kind, v128.load(positions + at)));
    const heated = f32x4.div(noisy, temperature);
    v128.store(weights + at, heated);
    most = f32x4.pmax(most, heated);
  }
  const hottest = f32x4.splat(highestLane(most));
  let low = f64x2.splat(0);
  let high = low;
  for (let slot = from; slot < end; slot += 4) {
    const at = <usize>slot << 2;
    const weight = exp4(f32x4.sub(v128.load(weights + at), hottest));
    v128.store(weights + at, weight);
    low = f64x2.add(low, f64x2.promote_low_f32x4(weight));
    high = f64x2.add(high, f64x2.promote_low_f32x4(i32x4.shuffle(weight, weight, 2, 3, 2, 3)));
  }
  const total = twoLanes(f64x2.add(low, high));
  if (!(total < Infinity)) return false;
  const share = f64x2.splat(1 / total);
  const grain = f64x2.splat(SCORE_GRAIN);
  const takesHighest = view.takesHighest != 0 && group > 1;
  const isFirst = query.head % group == 0;
  const isLast = query.head % group == group - 1;
  for (let slot = from; slot < end; slot += 4) {
    const weight = v128.load(weights + (<usize>slot << 2));
    const at = <usize>slot << 3;
    let a = f64x2.mul(f64x2.promote_low_f32x4(weight), share);
    let b = f64x2.mul(f64x2.promote_low_f32x4(i32x4.shuffle(weight, weight, 2, 3, 2, 3)), share);
    if (takesHighest) {
      if (!isFirst) {
        a = f64x2.pmax(a, v128.load(highest + at));
        b = f64x2.pmax(b, v128.load(highest + at, 16));
      }
      if (!isLast) {
        v128.store(highest + at, a);
        v128.store(highest + at, b, 16);
        continue;
      }
    }
    a = f64x2.sub(f64x2.add(a, grain), grain);
    b = f64x2.sub(f64x2.add(b, grain), grain);
    v128.store(sums + at, f64x2.add(v128.load(sums + at), a));
    v128.store(sums + at, f64x2.add(v128.load(sums + at, 16), b), 16);
  }
  return true;
}

/** Bytes of scratch that a task needs for `slots` slots: two queries, two rows each, highest scores, two records. */
@inline
function rowBytes(slots: i32): usize {
  return <usize>((slots + 7) & ~3) << 2;
}

/**
 * Attends the newest tokens `from` to `to` of one KV head.
 * @param scratch 6 · 4 · (slots + 8) + 32 bytes
 * @param sums f64 by slot, zeroed; 0 where no row is scored
 * @returns 0, or 1 + row · group + member of a query whose scored logits are not finite
 */
export function attendRows(
  view: CacheView,
  kvHead: i32,
  from: i32,
  to: i32,
  scratch: usize,
  sums: usize,
): i32 {
  const headDim = view.headDim;
  const headBytes = <usize>headDim << 2;
  const group = view.heads / view.kvHeads;
  const length = load<i32>(view.lengths + (<usize>kvHead << 2));
  const before = length - view.tokens;
  const cached = <usize>kvHead * <usize>view.capacity * headBytes;
  const keys = view.turned + cached;
  const values = view.values + cached;
  const bytes = rowBytes(length);
  const highest = scratch + 4 * bytes;
  const one = changetype<Query>(scratch + 6 * bytes);
  const two = changetype<Query>(scratch + 6 * bytes + 16);
  one.logits = scratch;
  one.weights = scratch + bytes;
  two.logits = scratch + 2 * bytes;
  two.weights = scratch + 3 * bytes;
  const queries = to * group;
  for (let index = from * group; index < queries; index += 2) {
    const isPair = index + 1 < queries;
    one.row = index / group;
    one.head = kvHead * group + (index % group);
    two.row = (index + 1) / group;
    two.head = kvHead * group + ((index + 1) % group);
    // What both queries' windows hide lies before this, where slots are positions.
    let start = 0;
    if (view.window != 0 && view.isOrdered != 0) start = max(0, view.first + one.row - view.window + 1) & ~3;
    const end = before + one.row + 1;
    const headOne = (<usize>one.row * <usize>view.heads + <usize>one.head) * headBytes;
    const outOne = view.attended + headOne;
    memory.fill(outOne, 0, headBytes);
    if (!isPair) {
      logitRow(view.q + headOne, keys, start, end, headDim, view.scale, one.logits);
      const share = weigh(view, kvHead, one, start, end, end);
      addValues(one.weights, values, start, end, headDim, outOne);
      divide(outOne, share, headDim);
    } else {
      const otherEnd = before + two.row + 1;
      const headTwo = (<usize>two.row * <usize>view.heads + <usize>two.head) * headBytes;
      const outTwo = view.attended + headTwo;
      memory.fill(outTwo, 0, headBytes);
      logitRows(view.q + headOne, view.q + headTwo, keys, start, otherEnd, headDim, view.scale, one.logits, two.logits);
      const share = weigh(view, kvHead, one, start, otherEnd, end);
      const otherShare = weigh(view, kvHead, two, start, otherEnd, otherEnd);
      addValuesTwice(one.weights, two.weights, values, start, otherEnd, headDim, outOne, outTwo);
      divide(outOne, share, headDim);
      divide(outTwo, otherShare, headDim);
      if (view.first + two.row >= view.firstScored) {
        if (view.first + one.row >= view.firstScored) {
          if (!score(view, kvHead, one, start, end, sums, highest)) return 1 + index;
        }
        if (!score(view, kvHead, two, start, otherEnd, sums, highest)) return 2 + index;
      }
      continue;
    }
    if (view.first + one.row >= view.firstScored) {
      if (!score(view, kvHead, one, start, end, sums, highest)) return 1 + index;
    }
  }
  return 0;
}

/** Multiplies `count` floats in place. */
function divide(at: usize, share: f32, count: i32): void {
  const end = at + (<usize>count << 2);
  for (; at < end; at += 4) store<f32>(at, load<f32>(at) * share);
}

/**
 * Decodes one token in one KV head: places it, attends, and adds its row to the scores.
 * @param scratch as `attendRows` needs, and then 8 · (slots + 8) bytes
 * @returns as `attendRows`
 */
export function decodeToken(view: CacheView, kvHead: i32, scratch: usize): i32 {
  const length = load<i32>(view.lengths + (<usize>kvHead << 2));
  placeRows(view, kvHead, 0, 1);
  if (view.turned != view.keys) turnKeys(view, kvHead, 0, length);
  const bytes = rowBytes(length);
  const sums = scratch + 6 * bytes + 32;
  const isScored = view.first >= view.firstScored;
  if (isScored) memory.fill(sums, 0, 2 * bytes);
  const code = attendRows(view, kvHead, 0, 1, scratch, sums);
  if (code != 0 || !isScored) return code;
  const share = <f64>view.share;
  const damping = <f64>view.damping;
  const scores = view.scores + ((<usize>kvHead * <usize>view.capacity) << 2);
  for (let slot = 0; slot < length; slot++) {
    const at = scores + (<usize>slot << 2);
    store<f32>(at, <f32>(damping * <f64>load<f32>(at) + share * load<f64>(sums + (<usize>slot << 3))));
  }
  return 0;
}
