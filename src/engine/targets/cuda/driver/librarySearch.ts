/**
 * @file Where the CUDA libraries may be: a list of paths to try, in order, made from the environment and the folders
 * that exist. Nothing is opened here.
 *
 * Order: folders in `PARETO_CUDA_LIBRARIES`; what the system's loader finds by name; `CUDA_HOME` and `CUDA_PATH`;
 * toolkits under /usr/local and the system's folders; folders of pip's `nvidia-*` packages. Beyond the first, a newer
 * CUDA version anywhere comes before an older one.
 */
import { readdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";

/** Libraries that are searched for. */
export type LibraryKind = "cuda" | "nvrtc" | "cublasLt" | "cublas";

/** Where to search. */
export interface SearchPlace {
  platform: NodeJS.Platform;
  env: NodeJS.ProcessEnv;
  home: string;
  /** Names in a folder; none when it does not exist. */
  list: (folder: string) => readonly string[];
}

/** This machine. */
export function thisMachine(): SearchPlace {
  return { platform: process.platform, env: process.env, home: homedir(), list: listFolder };
}

/** A library that may exist. */
export interface Candidate {
  /** A path, or a bare name for the system's loader. */
  path: string;
  /** CUDA's major version; 0 for the driver, which is of every version. */
  major: number;
}

/** CUDA versions whose libraries can be used, newest first. */
export const cudaMajors = [13, 12] as const;

function fileNames(kind: LibraryKind, platform: NodeJS.Platform): readonly Candidate[] {
  const windows = platform === "win32";
  if (kind === "cuda") return [{ path: windows ? "nvcuda.dll" : "libcuda.so.1", major: 0 }];
  return cudaMajors.map((major) => ({
    path: !windows
      ? `lib${kind}.so.${major}`
      : kind === "nvrtc"
        ? `nvrtc64_${major}0_0.dll`
        : `${kind}64_${major}.dll`,
    major,
  }));
}

/**
 * Paths to try for a library, in order, each once. Paths in folders that can be listed are given only where the file
 * exists; bare names always.
 */
export function candidates(kind: LibraryKind, place: SearchPlace = thisMachine()): readonly Candidate[] {
  const names = fileNames(kind, place.platform);
  const seen = new Set<string>();
  const searchIn = (places: readonly string[]): Candidate[] =>
    places.flatMap((folder) => {
      if (folder === "" || seen.has(folder)) return [];
      seen.add(folder);
      const files = place.list(folder);
      return names
        .filter(({ path }) => files.includes(path))
        .map(({ path, major }) => ({ path: join(folder, path), major }));
    });
  const named = searchIn((place.env["PARETO_CUDA_LIBRARIES"] ?? "").split(delimiter));
  const folders = [...toolkitFolders(place), ...systemFolders(place.platform), ...pipFolders(place)];
  const others = [...names, ...searchIn(folders)];
  return [...named, ...others.sort((a, b) => b.major - a.major)];
}

function toolkitFolders({ platform, env, list }: SearchPlace): readonly string[] {
  const roots = given(env["CUDA_HOME"], env["CUDA_PATH"]);
  if (platform === "win32") return roots.flatMap((root) => [join(root, "bin"), join(root, "bin", "x64")]);
  const toolkits = list("/usr/local").filter((name) => name.startsWith("cuda"));
  // "cuda" is the machine's chosen version; then newest first.
  toolkits.sort((a, b) =>
    a === "cuda" ? -1 : b === "cuda" ? 1 : b.localeCompare(a, "en", { numeric: true }),
  );
  roots.push(...toolkits.map((name) => join("/usr/local", name)));
  return roots.flatMap((root) => [
    join(root, "lib64"),
    join(root, "lib"),
    join(root, "targets/x86_64-linux/lib"),
  ]);
}

function systemFolders(platform: NodeJS.Platform): readonly string[] {
  if (platform === "win32") return [];
  return [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib/wsl/lib",
    "/run/opengl-driver/lib",
  ];
}

/** Folders of pip's packages: `nvidia/<package>/lib` for CUDA 12, `nvidia/cu13/lib` for CUDA 13. */
function pipFolders(place: SearchPlace): readonly string[] {
  const { env, home, list, platform } = place;
  const roots = given(env["VIRTUAL_ENV"], env["CONDA_PREFIX"]);
  const windows = platform === "win32";
  const sitePackages: string[] = [];
  if (windows) sitePackages.push(...roots.map((root) => join(root, "Lib", "site-packages")));
  else {
    roots.push(join(home, ".local"), "/usr", "/usr/local");
    roots.push(...list("/opt").map((name) => join("/opt", name, ".venv")));
    for (const root of roots) {
      for (const python of list(join(root, "lib")).filter((name) => name.startsWith("python3"))) {
        sitePackages.push(
          join(root, "lib", python, "site-packages"),
          join(root, "lib", python, "dist-packages"),
        );
      }
    }
  }
  const lib = windows ? "bin" : "lib";
  const packages = sitePackages.flatMap((folder) =>
    list(join(folder, "nvidia")).map((name) => join(folder, "nvidia", name, lib)),
  );
  return [...given(env["CONDA_PREFIX"]).map((root) => join(root, lib)), ...packages];
}

/** Those that are set. */
function given(...values: readonly (string | undefined)[]): string[] {
  return values.filter((value): value is string => value !== undefined && value !== "");
}

function listFolder(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
