/** @file Components of a `tokenizer.json`: an object whose `type` names what it is and whose other keys are options. */
import { z } from "zod";
import { describeIssue } from "../../base/jsonIssue.ts";
import { damagedModel, unsupported } from "../load/modelErrors.ts";

/** Sequences in sequences, at most. */
const DEEPEST = 16;

/** Where a component stands. */
export interface Place {
  /** The file. */
  readonly file: string;
  /** Keys and positions within it: `normalizer.normalizers.1`. */
  readonly path: readonly (string | number)[];
}

/** A component's maker for each of its types. */
export type Makers<T> = Readonly<Record<string, (options: unknown, place: Place) => T>>;

const within = ({ file, path }: Place, ...keys: (string | number)[]): Place => ({
  file,
  path: [...path, ...keys],
});

/** A place as errors name it. */
export const placeText = ({ file, path }: Place): string => [file, path.join(".")].filter(Boolean).join(", ");

const typed = z.object({ type: z.string() });

/**
 * Makes a component.
 * @param what its kind, for errors: `normalizer`
 * @throws ParetoError LLM_UNSUPPORTED for a type that is not known, LLM_MODEL_DAMAGED for wrong options
 */
export function makeComponent<T>(makers: Makers<T>, what: string, config: unknown, place: Place): T {
  const { type } = optionsOf(typed, config, place);
  const maker = Object.hasOwn(makers, type) ? makers[type] : undefined;
  if (maker === undefined) {
    const known = Object.keys(makers).join(", ");
    throw unsupported(placeText(place), `this ${what} of a tokenizer`, type, `a ${what} among ${known}`);
  }
  return maker(config, place);
}

/** A component that may be null. */
export function makeOptional<T>(makers: Makers<T>, what: string, config: unknown, place: Place): T | null {
  return config === null || config === undefined ? null : makeComponent(makers, what, config, place);
}

/**
 * Makes the components of a sequence.
 * @param key where they stand: `normalizers`
 */
export function makeSequence<T>(
  makers: Makers<T>,
  what: string,
  key: string,
  config: unknown,
  place: Place,
): T[] {
  if (place.path.length > 2 * DEEPEST)
    throw damagedModel(placeText(place), `sequences must be at most ${DEEPEST} deep`, "a deeper one");
  const parts = optionsOf(z.object({ [key]: z.array(z.unknown()) }), config, place)[key]!;
  return parts.map((part, i) => makeComponent(makers, what, part, within(place, key, i)));
}

/** How much longer a sequence may make a text: more than any normalization does. */
const GROWTH = { factor: 64, units: 2 ** 16 };

/** Refuses a text that a sequence's parts let grow without end. @throws ParetoError LLM_UNSUPPORTED */
export function requireGrowth(before: number, after: number, place: Place): void {
  if (after <= GROWTH.factor * before + GROWTH.units) return;
  throw unsupported(
    placeText(place),
    "a sequence that makes a text this much longer",
    `${before} characters, then ${after}`,
    "parts that do not repeat each other",
  );
}

/** The options of a component, checked. @throws ParetoError LLM_MODEL_DAMAGED */
export function optionsOf<T>(schema: z.ZodType<T>, config: unknown, place: Place): T {
  const parsed = schema.safeParse(config);
  if (parsed.success) return parsed.data;
  const { problem, received } = describeIssue(parsed.error, config);
  throw damagedModel(placeText(place), `the tokenizer is wrong ${problem}`, received);
}

/** One character. */
export const oneCharacter = z.string().refine((text) => [...text].length === 1, "expected one character");

/** `{"String": "…"}` or `{"Regex": "…"}`. */
export const patternSchema = z.union([
  z.object({ String: z.string() }).strict(),
  z.object({ Regex: z.string() }).strict(),
]);
