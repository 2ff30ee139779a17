/**
 * @file JSON from text, more strictly than `JSON.parse` alone: a key that stands twice in one object, of which the last
 * would count without a word, is refused, and so is nesting so deep that it can only be damage.
 */

/** Objects and lists inside each other, at most; what Pareto writes has fewer than twenty. */
const DEPTH = 200;

/** One step of a path into a JSON value: a key, or a place in a list. */
export type JsonStep = string | number;

/** A path as people write it: `config.stages[0].length`. */
export function jsonPath(steps: readonly JsonStep[]): string {
  const text = steps.map((step) => {
    if (typeof step === "number") return `[${step}]`;
    return /^[A-Za-z_$][\w$-]*$/.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  });
  return text.join("").replace(/^\./, "");
}

/** Why a text is no JSON that can be read; `problem` is a clause, `received` what stands there. */
export class JsonTextError extends Error {
  readonly problem: string;
  readonly received: string;

  constructor(problem: string, received: string, cause?: unknown) {
    super(problem, cause === undefined ? undefined : { cause });
    this.problem = problem;
    this.received = received;
  }
}

/**
 * The value of a JSON text. A byte order mark, which some editors put before it, is skipped.
 * @throws JsonTextError
 */
export function parseJsonText(text: string): unknown {
  const own = text.replace(/^\uFEFF/, "");
  let value: unknown;
  try {
    value = JSON.parse(own);
  } catch (cause) {
    if (own.trim() === "") throw new JsonTextError("is empty", JSON.stringify(own.slice(0, 40)), cause);
    const reason = cause instanceof Error ? cause.message.split("\n")[0]! : String(cause);
    throw new JsonTextError(`is not JSON (${reason})`, JSON.stringify(own.slice(0, 40)), cause);
  }
  checkStructure(own);
  return value;
}

/** An object or a list that is open at a place of the text. */
interface Open {
  /** Of an object; null of a list. */
  keys: Set<string> | null;
  /** The key, or the place in the list, of the value that is being read. */
  step: JsonStep;
  isKeyNext: boolean;
}

/** Looks for repeated keys and for nesting, in a text that is JSON. @throws JsonTextError */
function checkStructure(text: string): void {
  const open: Open[] = [];
  for (let at = 0; at < text.length; at++) {
    const top = open.at(-1);
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const start = at;
        for (at++; text.charCodeAt(at) !== 0x22; at++) if (text.charCodeAt(at) === 0x5c) at++;
        if (top?.isKeyNext === true) addKey(open, top, JSON.parse(text.slice(start, at + 1)) as string);
        break;
      }
      case 0x7b:
        open.push({ keys: new Set(), step: "", isKeyNext: true });
        break;
      case 0x5b:
        open.push({ keys: null, step: 0, isKeyNext: false });
        break;
      case 0x7d:
      case 0x5d:
        open.pop();
        break;
      case 0x2c:
        if (typeof top!.step === "number") top!.step++;
        else top!.isKeyNext = true;
        break;
      default:
    }
    if (open.length > DEPTH)
      throw new JsonTextError(`nests more than ${DEPTH} objects and lists`, text.slice(0, 40));
  }
}

function addKey(open: readonly Open[], top: Open, key: string): void {
  top.step = key;
  top.isKeyNext = false;
  if (top.keys!.has(key)) {
    const path = jsonPath(open.map(({ step }) => step));
    throw new JsonTextError(`has one key twice, ${path}`, JSON.stringify(key));
  }
  top.keys!.add(key);
}
