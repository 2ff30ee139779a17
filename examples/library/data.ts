/**
 * @file `pareto/recsys`: reads a click log, splits it in time order, and shows how the label drifts between the parts.
 * Run: `npx node examples/library/data.ts FILE LABEL [TIME_COLUMN] [SQL]`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openSource, prepareDataset } from "../../src/recsys/index.ts";

const [file, label, time, sql] = process.argv.slice(2);
if (file === undefined || label === undefined)
  throw new Error("usage: data.ts FILE LABEL [TIME_COLUMN] [SQL]");
const directory = await mkdtemp(join(tmpdir(), "pareto-example-"));
try {
  await using source = await openSource({ paths: [file], ...(sql && { sql }) });
  const options = { label, ...(time && { time }) };
  const { schema, train, validation, test } = await prepareDataset(source, options, directory);
  console.log(`${schema.dense.length} dense and ${schema.categorical.length} categorical columns`);
  for (const [name, part] of Object.entries({ train, validation, test })) {
    const share = (100 * part.labelCounts[1]) / part.rows;
    console.log(`${name}: ${part.rows} rows, label 1 in ${share.toFixed(1)} %`);
  }
  for await (const batch of train.batches({ batchSize: 2048, shuffle: { seed: 1, epoch: 0 } })) {
    console.log(`first batch: ${batch.size} inputs, ${batch.lookups.ids.length} lookups`);
    break;
  }
} finally {
  await rm(directory, { recursive: true });
}
