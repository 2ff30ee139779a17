/** @file What to do about a column that a source does not have. */
import { nearestName } from "../../../base/nearestName.ts";

/** A `fix` for a column that is absent: the nearest name, else the list of names. */
export function suggestColumn(wanted: string, names: readonly string[]): string {
  const nearest = nearestName(wanted, names);
  const shown = names.slice(0, 40).join(", ") + (names.length > 40 ? ", …" : "");
  return nearest === null
    ? `Name one of the columns: ${shown}.`
    : `Did you mean "${nearest}"? The columns are: ${shown}.`;
}
