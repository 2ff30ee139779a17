/**
 * @file Index arithmetic of generated kernels: whole-number expressions over loop variables, kept in a normal form
 * in which moving elements about mostly cancels out.
 *
 * An expression is Σ coefficientₖ · atomₖ + constant. An atom is a variable, or a digit ⌊e / divisor⌋ mod modulus of
 * an expression: the index along an axis is a digit of the flat position. Digits of one expression that lie side by
 * side join again, so that reshaping, slicing whole axes and splitting into vectors leave plain sums behind. Ranges are
 * tracked and decide which divisions are needed at all.
 */

/** A loop variable, or another whole number that the kernel computes, with its range. */
interface Variable {
  readonly kind: "variable";
  readonly key: string;
  readonly min: number;
  readonly max: number;
}

/** ⌊of / divisor⌋ mod modulus; the modulus may be Infinity. `of` is not negative where the digit is used. */
interface Digit {
  readonly kind: "digit";
  readonly key: string;
  readonly min: number;
  readonly max: number;
  readonly of: Linear;
  readonly divisor: number;
  readonly modulus: number;
}

/** What an expression is a sum of. */
export type Atom = Variable | Digit;

/** Σ coefficient · atom + constant, with its range. Equal expressions have equal keys. */
export interface Linear {
  readonly terms: readonly (readonly [atom: Atom, coefficient: number])[];
  readonly constant: number;
  readonly min: number;
  readonly max: number;
  readonly key: string;
}

function make(terms: readonly (readonly [Atom, number])[], constant: number): Linear {
  let [min, max] = [constant, constant];
  for (const [atom, k] of terms) {
    min += k > 0 ? k * atom.min : k * atom.max;
    max += k > 0 ? k * atom.max : k * atom.min;
  }
  const sorted = [...terms].sort(([a], [b]) => (a.key < b.key ? -1 : 1));
  const key = sorted.map(([atom, k]) => `${k}*${atom.key}+`).join("") + constant;
  return { terms: sorted, constant, min, max, key };
}

/** A fixed number. */
export function fixed(value: number): Linear {
  return make([], value);
}

/** A variable in [min, max]; `name` is how the generated code calls it. */
export function variable(name: string, min: number, max: number): Linear {
  return min === max ? fixed(min) : make([[{ kind: "variable", key: name, min, max }, 1]], 0);
}

/** Joins j · digit(e, d, m) + j · m · digit(e, d · m, m′) to j · digit(e, d, m · m′) wherever it can. */
function joinDigits(terms: Map<string, [Atom, number]>): Linear | undefined {
  for (const [high, k] of terms.values()) {
    if (high.kind !== "digit") continue;
    for (const [low, j] of terms.values()) {
      if (low.kind !== "digit" || low === high || j * low.modulus !== k) continue;
      // The higher digit may have been simplified: it is compared with what it would have become.
      const [term, ...others] = digit(low.of, low.divisor * low.modulus, high.modulus).terms;
      if (others.length > 0 || term?.[0].key !== high.key || term[1] !== 1) continue;
      const rest = [...terms.values()].filter(([atom]) => atom !== high && atom !== low);
      return plus(make(rest, 0), digit(low.of, low.divisor, low.modulus * high.modulus), j);
    }
  }
  return undefined;
}

/** a + scale · b. */
export function plus(a: Linear, b: Linear, scale = 1): Linear {
  const terms = new Map<string, [Atom, number]>();
  const add = (atom: Atom, k: number) => {
    const sum = (terms.get(atom.key)?.[1] ?? 0) + k;
    if (sum === 0) terms.delete(atom.key);
    else terms.set(atom.key, [atom, sum]);
  };
  a.terms.forEach(([atom, k]) => add(atom, k));
  if (scale !== 0) b.terms.forEach(([atom, k]) => add(atom, k * scale));
  const constant = a.constant + scale * b.constant;
  const joined = joinDigits(terms);
  if (joined) return plus(joined, fixed(constant));
  return make([...terms.values()], constant);
}

/** k · a. */
export function times(a: Linear, k: number): Linear {
  return plus(fixed(0), a, k);
}

function gcd(a: number, b: number): number {
  let [x, y] = [Math.abs(a), Math.abs(b)];
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** The terms whose coefficient is a multiple of `n`, and all else. */
function split(e: Linear, n: number): [multiples: Linear, rest: Linear] {
  const whole = e.terms.filter(([, k]) => k % n === 0);
  const constant = e.constant - (((e.constant % n) + n) % n);
  return [
    make(whole, constant),
    make(
      e.terms.filter(([, k]) => k % n !== 0),
      e.constant - constant,
    ),
  ];
}

/** e / n, whose coefficients are all multiples of n. */
function quotient(e: Linear, n: number): Linear {
  return make(
    e.terms.map(([atom, k]) => [atom, k / n] as const),
    e.constant / n,
  );
}

/** ⌊e / divisor⌋ mod modulus. @param e not negative wherever the result is used */
export function digit(e: Linear, divisor: number, modulus: number): Linear {
  if (modulus === 1) return fixed(0);
  if (e.terms.length === 0 && e.constant >= 0) {
    const q = Math.floor(e.constant / divisor);
    return fixed(modulus === Infinity ? q : q % modulus);
  }
  if (e.min >= 0) {
    const most = Math.floor(e.max / divisor);
    if (most === 0) return fixed(0);
    if (most < modulus && modulus !== Infinity) return digit(e, divisor, Infinity);
  }
  if (divisor === 1 && modulus === Infinity) return e;

  // What is a multiple of divisor · modulus does not matter.
  if (modulus !== Infinity) {
    const [multiples, rest] = split(e, divisor * modulus);
    if (rest.min >= 0 && multiples.key !== "0") return digit(rest, divisor, modulus);
  }
  // What is smaller than the divisor does not matter; without a modulus, multiples of the divisor come out.
  if (divisor > 1) {
    const [multiples, rest] = split(e, divisor);
    if (rest.min >= 0 && rest.max < divisor) return digit(quotient(multiples, divisor), 1, modulus);
    if (modulus === Infinity && rest.min >= 0 && multiples.key !== "0") {
      return plus(quotient(multiples, divisor), digit(rest, divisor, Infinity));
    }
  }
  const common = e.terms.reduce((g, [, k]) => gcd(g, k), divisor > 1 ? divisor : modulus);
  if (common > 1 && common !== Infinity) {
    const [multiples, rest] = split(e, common);
    const inner = quotient(multiples, common);
    if (divisor > 1) return digit(inner, divisor / common, modulus);
    return plus(times(digit(inner, 1, modulus / common), common), rest);
  }
  return digitOfDigit(e, divisor, modulus) ?? atomOf(e, divisor, modulus);
}

/** A digit of a digit is a digit of what that is taken of. */
function digitOfDigit(e: Linear, divisor: number, modulus: number): Linear | undefined {
  const [term] = e.terms;
  if (e.terms.length !== 1 || e.constant !== 0 || term![1] !== 1 || term![0].kind !== "digit")
    return undefined;
  const inner = term![0];
  if (inner.modulus === Infinity) return digit(inner.of, inner.divisor * divisor, modulus);
  if (inner.modulus % divisor !== 0) return undefined;
  const left = inner.modulus / divisor;
  if (modulus >= left) return digit(inner.of, inner.divisor * divisor, left);
  if (left % modulus === 0) return digit(inner.of, inner.divisor * divisor, modulus);
  return undefined;
}

function atomOf(of: Linear, divisor: number, modulus: number): Linear {
  const max = Math.min(modulus - 1, Math.max(0, Math.floor(of.max / divisor)));
  const atom: Digit = {
    kind: "digit",
    key: `(${of.key})/${divisor}%${modulus}`,
    min: 0,
    max,
    of,
    divisor,
    modulus,
  };
  return make([[atom, 1]], 0);
}

/** Whether every value of an expression is a multiple of n. */
export function isMultiple(e: Linear, n: number): boolean {
  return e.constant % n === 0 && e.terms.every(([, k]) => k % n === 0);
}

/** Whether b = a + n always. */
export function follows(a: Linear, b: Linear, n: number): boolean {
  return plus(a, fixed(n)).key === b.key;
}

/** The flat position of a row-major index. */
export function flatten(index: readonly Linear[], shape: readonly number[]): Linear {
  let at = fixed(0);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1) at = plus(at, index[axis]!, stride);
    stride *= shape[axis]!;
  }
  return at;
}

/** The row-major index of a flat position. */
export function unflatten(at: Linear, shape: readonly number[]): Linear[] {
  const index: Linear[] = [];
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const n = shape[axis]!;
    index.unshift(n === 1 ? fixed(0) : digit(at, stride, n));
    stride *= n;
  }
  return index;
}
