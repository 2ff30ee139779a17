/**
 * @file A compact copy of the hot rows of all tables, wherever it lies: what FAE asks of one. The ids of its lookups are
 * hot indices. At any moment one of the two copies owns the rows (I1), and weights and optimizer state move together (I7).
 */
import type { EmbeddingStore } from "./embeddingStore.ts";

/** What a sync moved. */
export interface SyncReport {
  /** Rows that were written. */
  rows: number;
  /**
   * Of weights and optimizer state, without padding; for rows in device memory, what crossed the bus, where rows move
   * in blocks.
   */
  bytes: number;
  seconds: number;
}

/** The compact copy of hot rows. */
export interface HotEmbeddingStore extends EmbeddingStore {
  /** Which copy of the hot rows counts. */
  readonly owner: "tables" | "hot";
  /** Hot rows (K). */
  readonly size: number;
  /**
   * Starts a hot segment: copies rows and state from the tables into the hot copy.
   * @param copy `changed`: only rows that the tables changed since the last sync; the first sync copies all
   * @throws ParetoError HOT_EMBEDDINGS_ORDER when the hot copy already owns the rows
   */
  syncIn(copy?: "changed" | "all"): Promise<SyncReport>;
  /**
   * Ends a hot segment, or precedes an evaluation or checkpoint in it: copies rows and state back to the tables.
   * @param copy `changed`: only rows that the hot copy changed since the last sync
   * @throws ParetoError HOT_EMBEDDINGS_ORDER when the tables already own the rows
   */
  syncOut(copy?: "changed" | "all"): Promise<SyncReport>;
  /**
   * Copies out the weights of all hot rows, without optimizer state.
   * @param into `[K, D]`
   * @throws ParetoError HOT_EMBEDDINGS_STALE when the tables own the rows; ROWS_LENGTH
   */
  readWeights(into: Float32Array): Promise<void>;
}
