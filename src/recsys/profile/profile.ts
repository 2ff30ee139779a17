/**
 * @file The profile of a data set: how skewed its lookups are, how many inputs would be hot at which budget, what
 * training would hold in memory and what FAE should gain. All from one pass over a sample, before any training.
 */
import type { Lookups } from "../data/batches/clickBatch.ts";
import { Rng } from "../../base/rng.ts";
import type { OnEvent } from "../../run/events.ts";
import type { AccessLog } from "../strategies/fae/accessLog.ts";
import type { FaeConfig } from "../strategies/fae/calibrate.ts";
import { hotPolicy, logSample } from "../strategies/fae/calibrate.ts";
import type { ClickSource } from "../strategies/fae/clickSource.ts";
import type { MeasuredCost, Prediction } from "../strategies/fae/costModel.ts";
import { predictRun } from "../strategies/fae/costModel.ts";
import { mapLookups } from "../data/batches/mapLookups.ts";
import { rowSpace } from "../strategies/fae/rowSpace.ts";
import { SelectionSampler, sampleSize } from "../strategies/fae/sampler.ts";
import { curveBudgets, inputShareCurve } from "./inputShare.ts";
import type { InputSharePoint } from "./inputShare.ts";
import { memoryPlan } from "./memoryPlan.ts";
import type { MemoryPlan, MemoryRequest } from "./memoryPlan.ts";
import type { AccessSkew, SkewPoint } from "./skew.ts";
import { accessSkew, skewCurve } from "./skew.ts";

/** Sampled inputs kept for the curve of hot-input shares: the share's error is below 0.5 points. */
const CURVE_INPUTS = 100_000;
const STREAM = 0x0fae10;

/** What to profile. */
export interface ProfileRequest {
  source: ClickSource;
  /** Name of each table's column. */
  tableNames: readonly string[];
  /** The FAE calibration to plan for. */
  config: FaeConfig;
  /** The training to plan for, save what the profile itself finds out. */
  training: Omit<MemoryRequest, "hotRows" | "idsPerInput">;
  /** Shuffle rate of the prediction, percent. Defaults to 50. */
  shuffleRate?: number;
  /** Step times of this machine; without them nothing is predicted. */
  cost?: MeasuredCost;
  /** Budgets of the curve, bytes. Defaults to doubling from 1 MiB to where all rows fit. */
  budgets?: readonly number[];
  onEvent?: OnEvent;
}

/** One table's part of a profile. */
interface TableProfile extends AccessSkew {
  name: string;
  /** Mean ids an input. */
  idsPerInput: number;
  hotRows: number;
}

/** All that is known of a data set before training; plain data. */
export interface DatasetProfile {
  inputs: number;
  sampledInputs: number;
  tables: TableProfile[];
  /** Over the rows of all tables. */
  skew: AccessSkew & { curve: SkewPoint[] };
  /** Hot-input share against budget. */
  inputShare: InputSharePoint[];
  /** The hot set at the configured budget. */
  hot: {
    budgetBytes: number;
    rows: number;
    rowShare: number;
    bytes: number;
    /** Estimated share of the lookups that hit it. */
    accessShare: number;
    /** Estimated share of the inputs that touch nothing else. */
    inputShare: number;
    /** Access threshold that chose it; null under top-K. */
    threshold: number | null;
  };
  memory: MemoryPlan;
  /** What FAE should gain; null without measured step times. */
  prediction: Prediction | null;
}

/**
 * Profiles a data set.
 * @throws ParetoError `FAE_SAMPLE_RATE`, `FAE_THRESHOLD`, `FAE_BUDGET`, `FAE_ROW_RANGE`, `FAE_TABLE_ROWS`
 */
export async function profileDataset(request: ProfileRequest): Promise<DatasetProfile> {
  const { source, config, training, onEvent } = request;
  const policy = hotPolicy(config);
  const kept = keepSome(sampleSize(source.rows, config.sampleRate), config.seed);
  const space = rowSpace(training.tableSizes);
  const log = await logSample(source, space, config, onEvent, kept.add);
  const { hotSet, events } = policy.select(log, config);
  if (onEvent) events.forEach(onEvent);
  const budgets = request.budgets ?? curveBudgets(space.rows * config.rowBytes);
  const { rowBytes, budgetBytes } = config;
  const shared = { policy, log, sample: kept.sample, inputs: source.rows, rowBytes };
  const inputShare = inputShareCurve({ ...shared, budgets: [...budgets, budgetBytes] });
  const planned = inputShare.find((point) => point.budgetBytes === budgetBytes)!;
  const hotInputShare = planned.inputShare;
  const logged = Math.min(1, log.inputs / Math.max(1, source.rows));
  const idsPerInput = log.totalLookups / Math.max(1, log.inputs);
  const run = {
    inputs: source.rows,
    batchSize: training.batchSize,
    shuffleRate: request.shuffleRate ?? 50,
    hotInputShare,
    hotBytes: hotSet.bytes,
  };
  return {
    inputs: source.rows,
    sampledInputs: log.inputs,
    tables: tableProfiles(request.tableNames, log, logged, hotSet.rowsByTable()),
    skew: { ...accessSkew(log.counts, logged), curve: skewCurve(log.counts, logged) },
    inputShare: inputShare.filter((point, i) => point.budgetBytes !== inputShare[i - 1]?.budgetBytes),
    hot: {
      budgetBytes,
      rows: hotSet.size,
      rowShare: hotSet.size / Math.max(1, space.rows),
      bytes: hotSet.bytes,
      accessShare: planned.accessShare,
      inputShare: hotInputShare,
      threshold: hotSet.threshold,
    },
    memory: memoryPlan({ ...training, hotRows: hotSet.size, idsPerInput }),
    prediction: request.cost === undefined ? null : predictRun(run, request.cost),
  };
}

function tableProfiles(
  names: readonly string[],
  log: AccessLog,
  logged: number,
  hotRows: Float64Array,
): TableProfile[] {
  const { offsets } = log.space;
  return names.map((name, table) => ({
    name,
    ...accessSkew(log.counts.subarray(offsets[table]!, offsets[table + 1]!), logged),
    idsPerInput: log.lookups[table]! / Math.max(1, log.inputs),
    hotRows: hotRows[table]!,
  }));
}

/** Copies the lookups of a uniform part of the sampled inputs, {@link CURVE_INPUTS} at most. */
function keepSome(sampled: number, seed: number) {
  const sampler = new SelectionSampler(Math.min(CURVE_INPUTS, sampled), sampled, new Rng(seed, STREAM));
  const sample: Lookups[] = [];
  const add = ({ batch, selection }: { batch: { lookups: Lookups }; selection: Uint32Array }) => {
    const chosen = selection.filter(() => sampler.take());
    if (chosen.length > 0) sample.push(mapLookups(batch.lookups, chosen));
  };
  return { sample, add };
}
