/**
 * @file Keys of categorical values: 64-bit hashes by which threads look values up in a vocabulary.
 *
 * Equal keys of different values would be wrong ids, so every set of values that is looked up, those of the vocabulary and
 * those of the rows alike, is counted first: as many different keys as values, none of them the key of a missing value.
 * Where DuckDB's hash fails that, as made-up values could bring about, the values are hashed by SHA-256 under a random
 * salt, which nobody can foresee. Ids do not depend on the salt.
 */
import { randomBytes } from "node:crypto";
import type { DuckDBConnection } from "@duckdb/node-api";
import { invariant } from "../../../base/errors.ts";
import type { Database } from "../source/duckdb.ts";
import { quoteText } from "../source/sqlText.ts";

/** Which hash; "" is DuckDB's own. */
export type Salt = string;

/** Salts that are tried: that even two random ones fail is less likely than a fault of the machine. */
const TRIES = 8;

/** The key of a value, a UBIGINT; that of a missing value is one that no value has. */
export type KeySql = (value: string, salt: Salt) => string;

/** {@link KeySql} by DuckDB's hash or, under a salt, by SHA-256. */
export const keySql: KeySql = (value, salt) =>
  salt === "" ? `hash(${value})` : `hash(sha256(${quoteText(salt)} || CAST(${value} AS VARCHAR)))`;

/**
 * A salt under which the keys of all values of a table tell them apart.
 * @param from of a column `value`, in which no value comes twice
 * @returns it, and the number of values, without a missing one
 * @throws ParetoError DATA_READ, DATA_MEMORY
 */
export async function findSalt(
  database: Database,
  from: string,
  valueType: string,
  where: string,
  connection?: DuckDBConnection,
  key: KeySql = keySql,
): Promise<{ salt: Salt; values: number }> {
  for (let tries = 0; tries < TRIES; tries++) {
    const salt = tries === 0 ? "" : randomBytes(16).toString("hex");
    const missing = key(`CAST(NULL AS ${valueType})`, salt);
    const [found] = await database.rows<{ values: number; keys: number; clashes: number }>(
      `SELECT count(*) AS values, count(DISTINCT k) AS keys, count_if(k = ${missing}) AS clashes ` +
        `FROM (SELECT ${key("value", salt)} AS k FROM ${from} WHERE value IS NOT NULL)`,
      where,
      connection,
    );
    const { values, keys, clashes } = found!;
    if (values === keys && clashes === 0) return { salt, values };
  }
  invariant(false, `one of ${TRIES} random salts tells the values of ${where} apart`);
}
