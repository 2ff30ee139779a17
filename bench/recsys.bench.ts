/**
 * @file CTR models on the host: the dense step, the whole step beside PyTorch, FAE, embedding memory, ingest, wide logs. Each group
 * is measured in a process of its own, so that neither the memory nor the threads of one show in another.
 */
import type { BenchArea, BenchGroup } from "./harness/area.ts";
import { runGroups } from "./harness/groups.ts";
import { benchDense, denseRows } from "./recsys/dense.ts";
import { benchEmbedding, embeddingRows } from "./recsys/embedding.ts";
import { benchFae, faeRows } from "./recsys/fae.ts";
import { benchIngest, INGEST_ROWS, ingestRows } from "./recsys/ingest.ts";
import { benchTrain, trainRows } from "./recsys/train.ts";
import { benchWide, wideRows } from "./recsys/wideLog.ts";
import { runAlone } from "./harness/alone.ts";

const groups: Readonly<Record<string, BenchGroup>> = {
  dense: async ({ threads }) => {
    const result = await benchDense(threads);
    return { rows: denseRows(result), results: [result] };
  },
  train: async ({ threads }) => {
    const result = await benchTrain(threads);
    return { rows: trainRows(result), results: [result] };
  },
  fae: async ({ threads }) => {
    const result = await benchFae(threads);
    return { rows: faeRows(result), results: [result] };
  },
  embedding: async ({ threads }) => {
    const result = await benchEmbedding({ threads });
    return { rows: embeddingRows(result), results: [result] };
  },
  // A process for each log, since what is compared is the highest memory of a process.
  ingest: async () => {
    const module = import.meta.resolve("./recsys/ingest.ts");
    const few = await runAlone(module, benchIngest, [INGEST_ROWS[0]]);
    const many = await runAlone(module, benchIngest, [INGEST_ROWS[1]]);
    return { rows: ingestRows(few, many), results: [few, many] };
  },
  wide: async ({ threads }) => {
    const result = await benchWide(threads);
    return { rows: wideRows(result), results: [result] };
  },
};

export default {
  about: "CTR models on the host: dense and whole steps, FAE, embedding memory, ingest, wide logs.",
  cost: "Some six minutes and 6 GB on 4 cores. `--small` changes nothing here.",
  groups: Object.keys(groups),
  isInAll: true,
  isolation: {},
  run: (context) => runGroups(groups, context),
} satisfies BenchArea;
