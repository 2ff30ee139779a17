/** @file What a result depended on besides its input: versions of Pareto, Node and packages, and the machine. */
import { readFileSync } from "node:fs";
import { findPackageJSON } from "node:module";
import { arch, availableParallelism, cpus, platform, totalmem } from "node:os";

interface Manifest {
  version?: string;
  dependencies?: Record<string, string>;
}

function readManifest(specifier: string): Manifest {
  const path = findPackageJSON(specifier, import.meta.url);
  return path === undefined ? {} : (JSON.parse(readFileSync(path, "utf8")) as Manifest);
}

/** Pareto's version. */
export function paretoVersion(): string {
  return readManifest("..").version ?? "unknown";
}

/** The version of a package that Pareto depends on, as its manifest pins it; undefined for any other package. */
export function pinnedVersion(name: string): string | undefined {
  return readManifest("..").dependencies?.[name];
}

/** Versions of Pareto's packages as they are installed, by name; `missing` for one that is not. */
export function packageVersions(): Record<string, string> {
  const versions: Record<string, string> = {};
  for (const name of Object.keys(readManifest("..").dependencies ?? {})) {
    try {
      versions[name] = readManifest(name).version ?? "missing";
    } catch {
      versions[name] = "missing";
    }
  }
  return versions;
}

/** The computer. */
export interface Machine {
  /** The processor's name. */
  cpu: string;
  /** Cores that this process may use. */
  cores: number;
  memoryBytes: number;
  /** E.g. `linux`. */
  platform: string;
  /** E.g. `x64`. */
  arch: string;
}

/** The computer that this runs on. */
export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: platform(),
    arch: arch(),
  };
}
