/** @file Changes to bytes of any format: flips, cuts, copies, numbers at their limits, words of the format. */
import type { Rng } from "../../src/base/rng.ts";

/** Files do not grow beyond this. */
export const MOST_BYTES = 1_000_000;

/** Numbers at which readers break, as text. */
const NUMBERS =
  "0 -0 1 -1 2 127 128 255 256 65535 65536 2147483647 2147483648 -2147483648 4294967295 4294967296 9007199254740993 9223372036854775807 18446744073709551616 1e9 1e99 1e308 1e400 -1e400 0.1 1e-400 NaN inf null 00 1_000 0x10".split(
    " ",
  );
/** The same for little-endian binary fields. */
const LIMITS = [
  0n,
  1n,
  0x7fn,
  0xffn,
  0x7fffn,
  0xffffn,
  0x7fffffffn,
  0xffffffffn,
  2n ** 53n,
  2n ** 63n - 1n,
  2n ** 64n - 1n,
];
/** Bytes with a meaning to many formats. */
const BYTES = Buffer.from("\0\t\n\r \"'#,-./0:;<>@[\\]^_`{|}~\x7f\x80\xbf\xc3\xed\xef\xf4\xfe\xff", "latin1");

/** Everything that a change may draw on. */
export interface MutationSource {
  rng: Rng;
  words: readonly string[];
  /** Other bytes of the same kind, to splice with. */
  other: Uint8Array;
}

type Change = (bytes: Buffer, source: MutationSource) => Buffer;

const replaced = (bytes: Buffer, from: number, to: number, by: Uint8Array): Buffer =>
  Buffer.concat([bytes.subarray(0, from), by, bytes.subarray(to)]);

/** A stretch, most often a short one. */
function stretch({ length }: Uint8Array, rng: Rng): [number, number] {
  const from = rng.integer(length + 1);
  const most = rng.integer(4) === 0 ? length : 16;
  return [from, Math.min(length, from + rng.integer(most + 1))];
}

const changes: readonly Change[] = [
  function flipBit(bytes, { rng }) {
    if (bytes.length > 0) bytes[rng.integer(bytes.length)]! ^= 1 << rng.integer(8);
    return bytes;
  },
  function setByte(bytes, { rng }) {
    if (bytes.length > 0) bytes[rng.integer(bytes.length)] = BYTES[rng.integer(BYTES.length)]!;
    return bytes;
  },
  function insertBytes(bytes, { rng }) {
    const at = rng.integer(bytes.length + 1);
    const inserted = Buffer.from(Array.from({ length: 1 + rng.integer(4) }, () => rng.integer(256)));
    return replaced(bytes, at, at, inserted);
  },
  function deleteStretch(bytes, { rng }) {
    return replaced(bytes, ...stretch(bytes, rng), Buffer.alloc(0));
  },
  function copyStretch(bytes, { rng }) {
    const at = rng.integer(bytes.length + 1);
    return replaced(bytes, at, at, bytes.subarray(...stretch(bytes, rng)));
  },
  function repeatStretch(bytes, { rng }) {
    const [from, to] = stretch(bytes, rng);
    const times = Math.min(1 << rng.integer(12), Math.floor(MOST_BYTES / 4 / Math.max(1, to - from)));
    return replaced(
      bytes,
      from,
      to,
      Buffer.concat(Array.from({ length: times }, () => bytes.subarray(from, to))),
    );
  },
  function cutOff(bytes, { rng }) {
    return bytes.subarray(0, rng.integer(bytes.length + 1));
  },
  function splice(bytes, { rng, other }) {
    const [from, to] = stretch(bytes, rng);
    return replaced(bytes, from, to, other.subarray(...stretch(other, rng)));
  },
  function changeNumber(bytes, { rng }) {
    const found = [...bytes.toString("latin1").matchAll(/-?\d+(?:\.\d+)?(?:e[+-]?\d+)?/gi)];
    if (found.length === 0) return bytes;
    const { index, 0: text } = found[rng.integer(found.length)]!;
    return replaced(bytes, index, index + text.length, Buffer.from(NUMBERS[rng.integer(NUMBERS.length)]!));
  },
  function changeField(bytes, { rng }) {
    const size = 1 << rng.integer(4);
    if (bytes.length < size) return bytes;
    // Headers hold the sizes, at multiples of their width.
    const end = rng.integer(2) === 0 ? Math.min(bytes.length, 256) : bytes.length;
    const at = size * rng.integer(Math.floor(end / size));
    const limit = LIMITS[rng.integer(LIMITS.length)]! + BigInt(rng.integer(3) - 1);
    const field = Buffer.alloc(8);
    field.writeBigUInt64LE(BigInt.asUintN(64, limit));
    return replaced(bytes, at, at + size, field.subarray(0, size));
  },
  function putWord(bytes, { rng, words }) {
    if (words.length === 0) return bytes;
    const [from, to] = stretch(bytes, rng);
    return replaced(
      bytes,
      from,
      rng.integer(2) === 0 ? from : to,
      Buffer.from(words[rng.integer(words.length)]!),
    );
  },
];

/** Some changes, one after the other; the input is not touched. */
export function mutateBytes(bytes: Uint8Array, source: MutationSource): Buffer {
  let changed: Buffer = Buffer.from(bytes);
  const times = 1 + source.rng.integer(3);
  for (let i = 0; i < times; i++) {
    changed = changes[source.rng.integer(changes.length)]!(changed, source);
    if (changed.length > MOST_BYTES) changed = changed.subarray(0, MOST_BYTES);
  }
  return changed;
}
