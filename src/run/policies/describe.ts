/** @file What a schema of options says about itself, for help, docs and JSON: names, meanings, defaults, values. */
import { z } from "zod";
import type { OptionsSchema } from "./policy.ts";

/** One option as help shows it. */
export interface OptionDescription {
  name: string;
  /** A whole phrase. */
  meaning: string;
  /** As a user would write it; null where there is none. */
  default: string | null;
  /** The words that it takes, or the type: `number`, `integer`, `boolean`, `text`. */
  takes: string;
}

interface JsonProperty {
  description?: string;
  type?: string;
  enum?: unknown[];
  anyOf?: JsonProperty[];
  default?: unknown;
}

/** The options of a schema, in its order. */
export function describeOptions(schema: OptionsSchema): OptionDescription[] {
  const { properties = {} } = z.toJSONSchema(schema, { io: "output" }) as {
    properties?: Record<string, JsonProperty>;
  };
  return Object.entries(properties).map(([name, property]) => ({
    name,
    meaning: property.description ?? "",
    default: property.default === undefined ? null : optionText(property.default),
    takes: takes(property),
  }));
}

/** A value as a user would write it: `50%`, `1024`, `none`. */
function optionText(value: unknown): string {
  if (typeof value !== "object" || value === null) return String(value);
  if ("share" in value) return `${Number((100 * Number(value.share)).toFixed(6))}%`;
  if ("count" in value) return String(value.count);
  return JSON.stringify(value);
}

function takes({ type, enum: words, anyOf }: JsonProperty): string {
  if (words !== undefined) return words.map(String).join(" | ");
  if (anyOf !== undefined)
    return anyOf.some(({ type: each }) => each === "object") ? "percentage | integer" : "text";
  return type === undefined || type === "string" ? "text" : type;
}
