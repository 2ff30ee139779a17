/**
 * @file A compact copy of the hot rows of all tables, wherever it lies: what FAE asks of one. The ids of its lookups are
 * slots. At any moment one of the two copies has authority (I1), and weights and optimizer state move together (I7).
 */
import type { RowStore } from "./rowStore.ts";

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
export interface HotRows extends RowStore {
  /** Which copy of the hot rows counts. */
  readonly authority: "tables" | "bag";
  /** Hot rows (K). */
  readonly size: number;
  /**
   * Starts a hot phase: copies rows and state from the tables into the bag.
   * @param copy `changed`: only rows that the tables changed since the last sync; the first sync copies all
   * @throws ParetoError HOT_BAG_ORDER when the bag already has authority
   */
  syncIn(copy?: "changed" | "all"): Promise<SyncReport>;
  /**
   * Ends a hot phase, or precedes an evaluation or checkpoint in it: copies rows and state back to the tables.
   * @param copy `changed`: only rows that the bag changed since the last sync
   * @throws ParetoError HOT_BAG_ORDER when the tables already have authority
   */
  syncOut(copy?: "changed" | "all"): Promise<SyncReport>;
}
