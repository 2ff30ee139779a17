/**
 * @file What may differ when a run goes on: the keys that its task's schema marks, where rows are or how many threads
 * work. Anything else would make it another run.
 */
import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { ParetoError } from "../base/errors.ts";

/** Parts of a configuration. */
export type Changes<Config> = {
  [Key in keyof Config]?: Config[Key] extends readonly unknown[]
    ? Config[Key]
    : Config[Key] extends object
      ? Changes<Config[Key]>
      : Config[Key];
};

const MARK = "mayChange";

/** Marks a key of a task's schema: a resumed run may have another value there. */
export function mayChange<T extends z.ZodType>(schema: T): T {
  return schema.meta({ ...schema.meta(), [MARK]: true });
}

const isMarked = (schema: unknown): boolean => (schema as z.ZodType).meta()?.[MARK] === true;

type Fields = Record<string, unknown>;
type Shape = Record<string, z.ZodType>;

/** Names of the marked keys, in the order of the schema. */
function marked({ shape }: { shape: Shape }): string[] {
  return Object.entries(shape).flatMap(([name, field]) =>
    isMarked(field) ? [name] : field instanceof z.ZodObject ? marked(field as never) : [],
  );
}

/**
 * The configuration that a resumed run goes on with.
 * @param schema of `stored`
 * @param changes parts that are given anew; those that are equal are no change
 * @throws ParetoError `RESUME_CONFIG` for a change of what is not marked
 */
export function resumedConfig<Config>(
  schema: z.ZodType<Config>,
  stored: Config,
  changes: Changes<Config>,
): Config {
  const root = schema as unknown as { shape: Shape };
  const merge = ({ shape }: { shape: Shape }, before: Fields, given: Fields): Fields => {
    const after = { ...before };
    for (const [name, value] of Object.entries(given)) {
      const field = shape[name];
      if (value === undefined || isDeepStrictEqual(before[name], value)) continue;
      if (field instanceof z.ZodObject && !isMarked(field)) {
        after[name] = merge(field as never, (before[name] ?? {}) as Fields, value as Fields);
      } else if (field !== undefined && isMarked(field)) after[name] = value;
      else throw refused(name, before[name], value, marked(root));
    }
    return after;
  };
  return merge(root, stored as Fields, changes as Fields) as Config;
}

function refused(name: string, before: unknown, value: unknown, free: readonly string[]): ParetoError {
  return new ParetoError({
    code: "RESUME_CONFIG",
    where: name,
    message: `a resumed run keeps its configuration: ${name} was ${JSON.stringify(before)}, got ${JSON.stringify(value)}`,
    fix: `Leave the option out, or start a new run with --out. These may change: ${free.join(", ")}.`,
  });
}
