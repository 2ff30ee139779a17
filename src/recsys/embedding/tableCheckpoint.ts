/** @file Embedding tables in a checkpoint: the same tensors whatever memory the rows are in. */
import type { Shape } from "../../base/shape.ts";
import type { Checkpointed, CheckpointReader, CheckpointWriter } from "../../run/checkpoint.ts";
import type { EmbeddingTableStore } from "./embeddingStore.ts";

/** Rows copied at a time. */
const CHUNK_ROWS = 65_536;

/** Name of a table's tensor in a checkpoint: `embedding.3.weight`, `embedding.3.sum`. */
export function tableTensor(table: number, column: string): string {
  return `embedding.${table}.${column === "weights" ? "weight" : column}`;
}

/** All rows of some tables and their optimizer state; the tables must hold the newest values when they are saved. */
export class TableCheckpoint implements Checkpointed {
  readonly #tables: EmbeddingTableStore;

  constructor(tables: EmbeddingTableStore) {
    this.#tables = tables;
  }

  save(writer: CheckpointWriter): void {
    const tables = this.#tables;
    for (const [table, rows] of tables.cardinalities.entries()) {
      for (const { name, length } of tables.format.columns) {
        writer.add({
          name: tableTensor(table, name),
          dtype: "float32",
          shape: columnShape(rows, name, length),
          *chunks() {
            for (let first = 0; first < rows; first += CHUNK_ROWS) {
              const part = tables.readRows(table, first, Math.min(CHUNK_ROWS, rows - first));
              yield name === "weights" ? part.weights : part.state[name]!;
            }
          },
        });
      }
    }
  }

  async load(reader: CheckpointReader): Promise<void> {
    const { cardinalities, format } = this.#tables;
    for (const [table, rows] of cardinalities.entries()) {
      for (const { name, length } of format.columns)
        reader.requireShape(tableTensor(table, name), columnShape(rows, name, length));
      for (let first = 0; first < rows; first += CHUNK_ROWS) {
        const count = Math.min(CHUNK_ROWS, rows - first);
        const part = async (column: { name: string; length: number }) =>
          (await reader.read(
            tableTensor(table, column.name),
            first * column.length,
            count * column.length,
          )) as Float32Array;
        const [weights, ...states] = await Promise.all(format.columns.map(part));
        const names = format.columns.slice(1).map((column) => column.name);
        const state = Object.fromEntries(names.map((name, i) => [name, states[i]!]));
        this.#tables.writeRows(table, first, { weights: weights!, state });
      }
    }
  }
}

/** Of a column of stored rows: one number of optimizer state a row is no matrix. */
function columnShape(rows: number, name: string, length: number): Shape {
  return length === 1 && name !== "weights" ? [rows] : [rows, length];
}
