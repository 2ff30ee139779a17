/** @file Reads a vocabulary's file into the table that threads look keys up in. */
import type { Database } from "../source/duckdb.ts";
import { RowStream } from "../source/rowStream.ts";
import { quoteText } from "../source/sqlText.ts";
import { keySql, type Salt } from "./categoryKeys.ts";
import type { CategoricalInput } from "./encodeQueries.ts";
import { addKeys, createTable, type KeyTable } from "./keyTable.ts";

/** Values that are read at once. */
const PIECE = 1 << 16;

/**
 * The table of a field, or a slice of it, by the low halves of the keys; null under hashing.
 * @throws ParetoError DATA_READ, DATA_MEMORY
 */
export async function loadTable(
  database: Database,
  { field, path }: CategoricalInput,
  salt: Salt,
  slice: number,
  slices: number,
): Promise<KeyTable | null> {
  if (field.encoding === "hash") return null;
  const where = `vocabulary of "${field.name}"`;
  const all = `SELECT ${keySql("value", salt)} AS key, id FROM read_parquet(${quoteText(path)})`;
  const from = slices === 1 ? all : `SELECT * FROM (${all}) WHERE (key & 4294967295) % ${slices} = ${slice}`;
  let count = field.cardinality - 1;
  if (slices > 1) {
    const [found] = await database.rows<{ count: number }>(`SELECT count(*) AS count FROM (${from})`, where);
    count = found!.count;
  }
  const table = createTable(count);
  const stream = new RowStream(database, from, where, false);
  const keys = new Int32Array(2 * PIECE);
  const ids = new Int32Array(PIECE);
  try {
    for (let done = 0; done < count; done += PIECE) {
      const size = Math.min(PIECE, count - done);
      await stream.take(size, [
        { words: keys, at: 0, width: 2 },
        { words: ids, at: 0, width: 1 },
      ]);
      addKeys(table, keys, ids.subarray(0, size));
    }
    return table;
  } finally {
    await stream.close();
  }
}
