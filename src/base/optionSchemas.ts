/**
 * @file Schemas for option values, the same for command-line text, policy text and JSON: each takes the value itself or
 * the text a user writes for it, such as `256MiB`, `50%` or `1_000`. What they refuse is zod's error; whoever parses
 * turns it into the library's, with the option's name.
 */
import { z } from "zod";

/** Least and most value of a number; both included unless stated otherwise. */
export interface NumberLimits {
  min?: number;
  max?: number;
  /** The value is above this one. */
  above?: number;
}

/** Reads text by `read`, leaves anything else as it is, and checks the value by a schema. */
function textOr<T extends z.ZodType>(read: (text: string) => unknown, value: T) {
  return z.preprocess((given) => (typeof given === "string" ? read(given.trim()) : given), value);
}

/** A number within limits; its error names the limits. */
function limited(
  make: (message: string) => z.ZodNumber,
  noun: string,
  { min, max, above }: NumberLimits,
): z.ZodNumber {
  const least = above === undefined ? min : above;
  const from = least === undefined ? [] : [`${above === undefined ? "of at least" : "above"} ${least}`];
  const to = max === undefined ? [] : [`${from.length > 0 ? "and " : ""}at most ${max}`];
  const message = ["expected", noun, ...from, ...to].join(" ");
  let limits = make(message);
  if (min !== undefined) limits = limits.min(min, message);
  if (max !== undefined) limits = limits.max(max, message);
  if (above !== undefined) limits = limits.gt(above, message);
  return limits;
}

const DIGITS = /^[-+]?(\d[\d_]*)?(\.\d+)?(e[-+]?\d+)?$/i;

/** The number that a text writes, underscores between digits allowed; the text itself where it writes none. */
function readNumber(text: string): unknown {
  const value = Number(text.replaceAll("_", ""));
  return DIGITS.test(text) && /\d/.test(text) && Number.isFinite(value) ? value : text;
}

/** A whole number: `12`, `1_000`. */
export function wholeNumber(limits: NumberLimits = {}) {
  return textOr(readNumber, limited(z.int, "a whole number", limits));
}

/** A number: `0.05`, `1e-3`. */
export function decimal(limits: NumberLimits = {}) {
  return textOr(readNumber, limited(z.number, "a number", limits));
}

/** A part of a whole: `0.95` or `95%`. */
export function share(limits: NumberLimits = { min: 0 }) {
  const read = (text: string) => (text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : readNumber(text));
  return textOr(read, limited(z.number, "a share", { ...limits, max: 1 }));
}

const BYTE_UNITS: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
};

function readBytes(text: string): unknown {
  const [, digits, unit] = /^([\d_]*\.?\d+)\s*([a-z]*)$/i.exec(text) ?? [];
  const scale = BYTE_UNITS[(unit ?? "?").toLowerCase()];
  const value = Number(digits?.replaceAll("_", ""));
  return scale === undefined || Number.isNaN(value) ? text : Math.floor(value * scale);
}

/** A size in bytes, with a unit or without: `256MiB`, `1.5 GiB`, `4096`. At least 1. */
export function byteSize() {
  const message = "expected a size such as 256MiB";
  return textOr(readBytes, z.int(message).min(1, message));
}

/** Part of a whole, or a count: a percentage such as `50%`, or a whole number such as `1024`. */
export type ShareOrCount = { share: number } | { count: number };

function readShareOrCount(text: string): unknown {
  const [, digits, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? [];
  if (digits === undefined) return text;
  return percent === "%" ? { share: Number(digits) / 100 } : { count: Number(digits) };
}

/** `50%` as `{ share: 0.5 }`, `1024` as `{ count: 1024 }`; JSON may give a number for a count. */
export function shareOrCount() {
  const value: z.ZodType<ShareOrCount> = z.union(
    [z.strictObject({ share: z.number().min(0).max(1) }), z.strictObject({ count: z.int().min(0) })],
    "expected a percentage such as 50% or a whole number such as 1024",
  );
  return z.preprocess((given) => {
    if (typeof given === "number") return { count: given };
    return typeof given === "string" ? readShareOrCount(given.trim()) : given;
  }, value);
}

/** One of some words. */
export function choice<const T extends readonly string[]>(words: T) {
  return z.enum(words, `expected one of ${words.join(", ")}`);
}

const SWITCH: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  false: false,
  no: false,
  off: false,
};

/** Yes or no: `true`, `yes`, `on`, `false`, `no`, `off`. */
export function onOff() {
  return textOr((text) => SWITCH[text.toLowerCase()] ?? text, z.boolean("expected true or false"));
}

/** Items between commas, each by its own schema; JSON gives an array. */
export function listOf<T extends z.ZodType>(item: T) {
  const split = (text: string) =>
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== "");
  return textOr(split, z.array(item));
}
