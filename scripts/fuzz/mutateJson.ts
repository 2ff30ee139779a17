/** @file Changes to the values of a JSON text that stays one: another type, an odd number, a key gone or doubled. */
import type { Rng } from "../../src/base/rng.ts";

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Values of every type, and those at which readers break. */
const VALUES: readonly (() => Json)[] = [
  () => null,
  () => true,
  () => false,
  () => 0,
  () => -1,
  () => 1,
  () => 0.5,
  () => 2 ** 31,
  () => 2 ** 53,
  () => 1e308,
  () => -1e308,
  () => 5e-324,
  () => "",
  () => "x",
  () => "\ud800",
  () => "../../x",
  () => "a".repeat(10_000),
  () => [],
  () => [[]],
  () => [null],
  () => Array.from({ length: 1000 }, () => 0),
  () => ({}),
  () => ({ type: "x" }),
  () => nested(200),
];
const KEYS = ["", "__proto__", "constructor", "toString", "length", "type", "x"];

function nested(depth: number): Json {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
}

/** Where a value stands. */
interface Place {
  holder: Json[] | { [key: string]: Json };
  key: string | number;
}

/** Places below a value; of a long array some. */
function placesOf(value: Json, rng: Rng, found: Place[] = []): Place[] {
  if (value === null || typeof value !== "object") return found;
  if (Array.isArray(value)) {
    const step = Math.max(1, Math.floor(value.length / 16));
    for (let i = rng.integer(step); i < value.length; i += step) {
      found.push({ holder: value, key: i });
      placesOf(value[i]!, rng, found);
    }
  } else {
    const keys = Object.keys(value);
    const step = Math.max(1, Math.floor(keys.length / 64));
    for (let i = rng.integer(step); i < keys.length; i += step) {
      found.push({ holder: value, key: keys[i]! });
      placesOf(value[keys[i]!]!, rng, found);
    }
  }
  return found;
}

const at = ({ holder, key }: Place): Json => (holder as Record<string | number, Json>)[key]!;
function put({ holder, key }: Place, value: Json): void {
  Object.defineProperty(holder, key, { value, configurable: true, enumerable: true, writable: true });
}

/** The text with some values changed; null where it is no JSON with values inside. */
export function mutateJson(text: string, rng: Rng): string | null {
  let root: Json;
  try {
    root = JSON.parse(text) as Json;
  } catch {
    return null;
  }
  const places = placesOf(root, rng);
  if (places.length === 0) return null;
  const draw = (): Place => places[rng.integer(places.length)]!;
  for (let left = 1 + rng.integer(3); left > 0; left--) {
    const place = draw();
    const { holder, key } = place;
    const action = rng.integer(6);
    if (action < 2) put(place, VALUES[rng.integer(VALUES.length)]!());
    else if (action === 2) {
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete holder[key];
    } else if (action === 3) {
      const value = at(place);
      if (typeof value === "number")
        put(place, value * [-1, 0.5, 2, 1e6, 1e-6][rng.integer(5)]! + rng.integer(3) - 1);
      else put(place, VALUES[rng.integer(VALUES.length)]!());
    } else if (action === 4) put(place, structuredClone(at(draw())));
    else if (Array.isArray(holder)) holder.push(structuredClone(holder[0] ?? null));
    else put({ holder, key: KEYS[rng.integer(KEYS.length)]! }, structuredClone(at(draw())));
  }
  return JSON.stringify(root);
}
