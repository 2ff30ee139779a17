/**
 * @file The queries of an encoding: which columns each computes, its SQL, and where in a block its columns go.
 *
 * Columns are divided among a few queries because DuckDB plans wide ones in more than linear time.
 */
import type { ListTarget, Target } from "../source/rowStream.ts";
import type { Source, SourceColumn } from "../source/source.ts";
import { elementType, numberSql } from "../schema/columnTypes.ts";
import { keySql, type Salt } from "./categoryKeys.ts";
import type { DenseField } from "../batches/clickBatch.ts";
import { denseSql } from "./denseStatistics.ts";
import { BLOCK_ROWS, type RawBlock, roomIn } from "./rawBlock.ts";
import { fieldValueSql, hashSql, type EncodedField } from "./vocabulary.ts";

/** A dense input. */
export interface DenseInput {
  column: SourceColumn;
  field: DenseField;
}

/** A categorical input, and its vocabulary. */
export interface CategoricalInput {
  column: SourceColumn;
  field: EncodedField;
  /** Of the vocabulary's file. */
  path: string;
}

/** What the first query computes beside its columns. */
export interface RowFacts {
  /** What to read FROM, of these columns, to have the rest. */
  from: (columns: readonly SourceColumn[]) => string;
  /** UTINYINT: the part of a row. */
  partSql: string;
  /** FLOAT: the label, never NULL. */
  labelSql: string;
}

/** A query, and where its columns go in a block. */
export interface EncodeQuery {
  /** @param isSorted whether DuckDB sorts the rows, as they came in another order */
  sql: (isSorted: boolean) => string;
  targets: (block: RawBlock) => (Target | ListTarget)[];
}

const GROUP_DENSE = 128;
const GROUP_FIELDS = 16;

function groupsOf<T>(items: readonly T[], size: number): T[][] {
  const groups: T[][] = [];
  for (let from = 0; from < items.length; from += size) groups.push(items.slice(from, from + size));
  return groups;
}

/** SQL of a field's values, a list for a field of lists. */
function valuesSql({ column, field }: CategoricalInput): string {
  const value = fieldValueSql(column, field);
  if (!field.multiHot) return value;
  // A missing list counts as one missing value; an empty list is an empty bag.
  const list = `coalesce(CAST(${column.sql} AS ${elementType(column.type)!}[]), [NULL])`;
  return `list_transform(${list}, lambda v: ${value})`;
}

/** SQL of ids under hashing, else of keys. @param values the name of a column of {@link valuesSql} */
function keysSql({ field }: CategoricalInput, values: string, salt: Salt): string {
  const key = (value: string) =>
    field.encoding === "hash" ? hashSql(value, field.cardinality) : keySql(value, salt);
  return field.multiHot ? `list_transform(${values}, lambda x: ${key("x")})` : key(values);
}

/**
 * The queries that give all columns of a block: part, label, dense columns, categorical columns.
 * @param facts what tells part and label; null leaves both 0
 * @param salts by categorical input
 */
export function planQueries(
  source: Source,
  facts: RowFacts | null,
  dense: readonly DenseInput[],
  categorical: readonly CategoricalInput[],
  salts: readonly Salt[],
): EncodeQuery[] {
  const numbers = groupsOf([...dense.entries()], GROUP_DENSE);
  const fields = groupsOf([...categorical.entries()], GROUP_FIELDS);
  const count = Math.max(1, numbers.length, fields.length);
  return Array.from({ length: count }, (_, q): EncodeQuery => {
    const isFirst = q === 0;
    const ownNumbers = numbers[q] ?? [];
    const ownFields = fields[q] ?? [];
    return {
      sql: (isSorted) => {
        const inner = [
          "row",
          `${isFirst && facts ? facts.partSql : "0::UTINYINT"} AS part`,
          `${isFirst && facts ? facts.labelSql : "0::FLOAT"} AS label`,
          ...ownNumbers.map(([d, { column }]) => `${numberSql(column)} AS n${d}`),
          ...ownFields.map(([t, field]) => `${valuesSql(field)} AS v${t}`),
        ];
        const columns = [...ownNumbers, ...ownFields].map(([, { column }]) => column);
        const from = isFirst && facts ? facts.from(columns) : source.from(columns);
        const outer = [
          "CAST(row AS DOUBLE)",
          ...(isFirst ? ["part", "label"] : []),
          ...ownNumbers.map(([d, { field }]) => denseSql(`n${d}`, field)),
          ...ownFields.map(([t, field]) => keysSql(field, `v${t}`, salts[t]!)),
        ];
        return `SELECT ${outer.join(", ")} FROM (SELECT ${inner.join(", ")} FROM ${from})${isSorted ? " ORDER BY row" : ""}`;
      },
      targets: (block) => {
        const fixed = (column: number): Target => ({
          words: block.fixed,
          at: column * BLOCK_ROWS,
          width: 1,
        });
        return [
          ...(isFirst ? [fixed(0), fixed(1)] : []),
          ...ownNumbers.map(([d]) => fixed(2 + d)),
          ...ownFields.map(([t, { field }]): Target | ListTarget => {
            const width = field.encoding === "hash" ? 1 : 2;
            const words = block.categories[t]!;
            const list = block.lists[t]!;
            if (list === null) return { words, at: 0, width };
            return { lengths: words, width, room: (values) => roomIn(list, width, values) };
          }),
        ];
      },
    };
  });
}
