/**
 * @file What a stop of the tour is: one system at work on something small, measured against what it replaces. A stop runs
 * commands that a user can run too. A further system is one more file, named in `stops.ts`.
 */
import type { Figure } from "../../report/page.ts";

/** A figure of merit before the system and with it, as text. */
export interface Comparison {
  /** What is compared, e.g. `AUC`. */
  what: string;
  before: string;
  after: string;
}

/** What a system came to. */
export interface StopResult {
  /** What it was measured on, and against which rival. */
  against: string;
  quality: Comparison;
  /** Time or bytes. */
  cost: Comparison;
  /** One sentence of what the system did; where its gain needs a GPU, it says so. */
  sentence: string;
  figure: Figure;
  /** Paths of pages and files to look at, in the tour's folder. */
  links: readonly string[];
}

/** What a stop works with. */
export interface TourContext {
  /** A path in the tour's folder. */
  path: (...parts: string[]) => string;
  /**
   * Runs a command as on the command line, from its domain on; returns its `done` event.
   * @throws ParetoError what the command throws
   */
  run: (...args: [domain: string, verb: string, ...rest: string[]]) => Promise<Record<string, unknown>>;
}

/** One system of the tour. */
export interface TourStop {
  /** As `--only` takes it. */
  name: string;
  /** As the table shows it. */
  system: string;
  /** What it is about, in a few words, shown while it runs. */
  topic: string;
  run(context: TourContext): Promise<StopResult>;
}
