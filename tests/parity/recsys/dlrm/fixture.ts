/** @file Reads golden/dlrm/readme.json: the worked example of the reference implementation. */
import { readFileSync } from "node:fs";

interface Layer {
  weight: number[][];
  bias: number[];
}

/** The example: a DLRM of 3 tables with rows of 2, three mini-batches of 2, and what training makes of it. */
export interface DlrmExample {
  /** `[table][row][dim]` */
  embeddings: number[][][];
  bottom: Layer[];
  top: Layer[];
  /** `bags[table][input]` are row ids. */
  batches: { dense: number[][]; bags: number[][][]; labels: number[] }[];
  learningRate: number;
  losses: number[];
  after: { embeddings: number[][][]; parameters: Record<string, number[] | number[][]> };
}

/** The example as printed. */
export function dlrmExample(): DlrmExample {
  const url = new URL("../../../../golden/dlrm/readme.json", import.meta.url);
  return JSON.parse(readFileSync(url, "utf8")) as DlrmExample;
}
