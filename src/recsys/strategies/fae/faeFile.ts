/**
 * @file The FAE file: a folder with the hot rows of a training part and its inputs split into hot and cold, made
 * once and used again while data and config stay the same.
 *
 * `fae.bin` (see `faeHeader.ts`), `hot/` and `cold/` (encoded data sets). It is built beside its place and put
 * there by a rename, so a reader sees a whole one or none. A file that is damaged or of other data is built
 * again, with a notice; nothing in it is precious.
 */
import { createReadStream } from "node:fs";
import { readFile, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { crc32 } from "node:zlib";
import { EncodedDataset } from "../../data/encode/encodedDataset.ts";
import type { EncodedLayout } from "../../data/encode/encodedLayout.ts";
import { fileError, firstLine } from "../../../base/fileErrors.ts";
import { holdTemporary } from "../../../base/temporaryPaths.ts";
import { makePartialFolder } from "../../data/encode/partialFolder.ts";
import type { OnEvent } from "../../../run/events.ts";
import type { FaeConfig } from "./calibrate.ts";
import { calibrate, hotPolicy } from "./calibrate.ts";
import type { ClickSource } from "./clickSource.ts";
import type { FaeHeader, FilePrint } from "./faeHeader.ts";
import { decodeFaeHead, encodeFaeHead } from "./faeHeader.ts";
import { HotSet } from "./hotSet.ts";
import type { Partition } from "./partition.ts";
import { partitionInputs } from "./partition.ts";
import { rowSpace } from "./rowSpace.ts";

const HEAD = "fae.bin";

/** What to split, and where the result lies. */
export interface FaeRequest {
  /** Folder of the FAE file; what lies there and is not it is replaced. */
  directory: string;
  source: ClickSource;
  layout: EncodedLayout;
  /** Changes whenever the source's inputs do. */
  datasetHash: string;
  config: FaeConfig;
  onEvent?: OnEvent;
}

/** An opened FAE file. */
export interface FaeFile extends Pick<Partition, "hot" | "cold"> {
  header: FaeHeader;
  hotSet: HotSet;
  /** Whether it was found, rather than made now. */
  reused: boolean;
}

/**
 * Opens the FAE file of a request, building it when there is none that fits.
 * @throws ParetoError `FAE_SAMPLE_RATE`, `FAE_THRESHOLD`, `FAE_BUDGET`, `FAE_ROW_RANGE`, `FILE_REFUSED`,
 * `FILE_DISK_FULL`
 */
export async function prepareFaeFile(request: FaeRequest): Promise<FaeFile> {
  const found = await openFaeFile(request);
  if (typeof found !== "string") {
    notify(
      request,
      "info",
      "FAE_FILE_REUSED",
      `The hot and cold inputs made before are used: ${request.directory}`,
    );
    return found;
  }
  if (found !== "") {
    const message = `The FAE file is built again, because ${found}: ${request.directory}`;
    notify(request, "warning", "FAE_FILE_REBUILT", message);
  }
  return buildFaeFile(request);
}

/** The file, or why there is none that fits; an empty reason when there is none at all. */
async function openFaeFile(request: FaeRequest): Promise<FaeFile | string> {
  const { directory, layout, config, datasetHash, source } = request;
  let bytes: Buffer;
  try {
    bytes = await readFile(join(directory, HEAD));
  } catch {
    const left = await readdir(directory).catch(() => []);
    return left.length > 0 ? `it has no ${HEAD}` : "";
  }
  const head = decodeFaeHead(bytes);
  if ("problem" in head) return head.problem;
  const { header, rows } = head;
  if (header.datasetHash !== datasetHash) return "the data changed";
  if (!isDeepStrictEqual(header.config, plain(config))) return "the settings changed";
  if (!isDeepStrictEqual(header.tableSizes, layout.cardinalities)) return "the tables changed";
  for (const print of header.files) {
    const now = await fingerprint(directory, print.path).catch(() => null);
    if (!isDeepStrictEqual(now, print)) return `${print.path} is damaged or missing`;
  }
  try {
    const hot = await EncodedDataset.open(join(directory, "hot"));
    const cold = await EncodedDataset.open(join(directory, "cold"));
    if (hot.rows + cold.rows !== source.rows)
      return `it holds ${hot.rows + cold.rows} of ${source.rows} inputs`;
    const hotSet = new HotSet(rowSpace(layout.cardinalities), rows, config, header.threshold);
    return { hot, cold, header, hotSet, reused: true };
  } catch (error) {
    return `it is damaged (${firstLine(error)})`;
  }
}

async function buildFaeFile(request: FaeRequest): Promise<FaeFile> {
  const { directory, source, layout, config, datasetHash, onEvent } = request;
  const partial = await makePartialFolder(directory).catch((error: unknown) => {
    throw fileError(error, directory, "Choose another folder with --cache.");
  });
  const release = holdTemporary(partial);
  try {
    const calibration = await calibrate(source, rowSpace(layout.cardinalities), config, onEvent);
    const { hotSet } = calibration;
    const start = performance.now();
    const directories = { hot: join(partial, "hot"), cold: join(partial, "cold") };
    const { hot, cold, accessShare } = await partitionInputs(source, layout, hotSet, directories, onEvent);
    const header: FaeHeader = {
      datasetHash,
      config: plain(config),
      tableSizes: [...layout.cardinalities],
      hotRows: hotSet.size,
      threshold: hotSet.threshold,
      sampledInputs: calibration.sampledInputs,
      accessShare,
      hotInputs: hot.rows,
      coldInputs: cold.rows,
      seconds: { ...calibration.seconds, partition: (performance.now() - start) / 1000 },
      files: await fingerprints(partial, ["hot", "cold"]),
    };
    await writeFile(join(partial, HEAD), encodeFaeHead(header, hotSet.rows), { flush: true });
    await rm(directory, { recursive: true, force: true });
    await rename(partial, directory);
    report(request, header, hotSet);
    if (header.hotInputs === 0) {
      const message = `No input finds all of its rows among the ${hotSet.size} hot ones: training will be as without FAE. Raise the hot budget or the sample rate.`;
      notify(request, "warning", "FAE_NO_HOT_INPUTS", message);
    }
    return {
      hot: await EncodedDataset.open(join(directory, "hot")),
      cold: await EncodedDataset.open(join(directory, "cold")),
      header,
      hotSet,
      reused: false,
    };
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw isFileError(error) ? fileError(error, directory) : error;
  } finally {
    release();
  }
}

/** The report of A.1.4 step 8. */
function report(request: FaeRequest, header: FaeHeader, hotSet: HotSet): void {
  request.onEvent?.({
    event: "decision",
    policy: hotPolicy(request.config).name,
    kind: "recsys.hot",
    step: 0,
    subject: "inputs",
    saw: {
      hotRows: hotSet.size,
      hotRowShare: hotSet.size / Math.max(1, hotSet.space.rows),
      hotBytes: hotSet.bytes,
      accessShare: header.accessShare,
      sampleSeconds: header.seconds.sample,
      selectSeconds: header.seconds.select,
      partitionSeconds: header.seconds.partition,
    },
    chose: {
      hotInputs: header.hotInputs,
      coldInputs: header.coldInputs,
      hotInputShare: header.hotInputs / Math.max(1, header.hotInputs + header.coldInputs),
    },
  });
}

async function fingerprints(directory: string, folders: string[]): Promise<FilePrint[]> {
  const prints: FilePrint[] = [];
  for (const folder of folders) {
    const names = await readdir(join(directory, folder));
    for (const name of names.sort()) prints.push(await fingerprint(directory, `${folder}/${name}`));
  }
  return prints;
}

async function fingerprint(directory: string, path: string): Promise<FilePrint> {
  const full = join(directory, path);
  const { size } = await stat(full);
  let sum = 0;
  for await (const chunk of createReadStream(full, { highWaterMark: 2 ** 20 }))
    sum = crc32(chunk as Buffer, sum);
  return { path, sizeBytes: size, crc32: sum };
}

/** The config's own fields as JSON gives them back: what is compared must be what is stored. */
function plain(config: FaeConfig): FaeConfig {
  return JSON.parse(JSON.stringify(config)) as FaeConfig;
}

function isFileError(error: unknown): boolean {
  return error instanceof Error && "syscall" in error;
}

function notify(request: FaeRequest, level: "info" | "warning", code: string, message: string): void {
  request.onEvent?.({ event: "notice", level, code, message });
}
