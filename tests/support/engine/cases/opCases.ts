/** @file All cases: an op without one is a compile error. */
import type { OpName } from "../../../../src/engine/graph/opAttrs.ts";
import type { OpCase } from "../opCase.ts";
import { attentionCases } from "./attention.ts";
import { compositeCases } from "./composite.ts";
import { contractionCases } from "./contraction.ts";
import { elementwiseCases } from "./elementwise.ts";
import { indexingCases } from "./indexing.ts";
import { leafCases } from "./leaf.ts";
import { lstmCases } from "./lstm.ts";
import { movementCases } from "./movement.ts";
import { reduceCases } from "./reduce.ts";
import { scanCases } from "./scan.ts";

/** Cases by op. */
export const opCases: Readonly<Record<OpName, readonly OpCase[]>> = {
  ...leafCases,
  ...elementwiseCases,
  ...movementCases,
  ...reduceCases,
  ...contractionCases,
  ...indexingCases,
  ...scanCases,
  ...compositeCases,
  ...attentionCases,
  ...lstmCases,
};

/** The table as a list. */
export const opCaseList = Object.entries(opCases).flatMap(([op, cases]) =>
  cases.map((testCase) => ({ op: op as OpName, testCase })),
);
