/** @file The columns of a source and what they were taken for, as a table. */
import type { ColumnDescription } from "../../../recsys/data/schema/inferSchema.ts";
import { formatCount } from "../../../base/format.ts";
import { formatTable } from "../../output.ts";

/** One line a column: name, type, role, distinct values, missing values, and why. */
export function columnTable(columns: readonly ColumnDescription[]): string {
  const rows = columns.map(({ name, type, role, multiHot, elements, distinct, missing, reason }) => [
    name,
    type,
    multiHot ? `${role} (list)` : elements > 0 ? `${role} (vector of ${elements})` : role,
    formatCount(distinct),
    formatCount(missing),
    reason,
  ]);
  return formatTable(["column", "type", "role", "distinct ≈", "missing", "because"], rows, [
    "left",
    "left",
    "left",
    "right",
    "right",
    "left",
  ]);
}
