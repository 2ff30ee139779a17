/** @file Where things are kept that can be made again: the user's cache folder of the system. */
import { homedir } from "node:os";
import { join } from "node:path";

/** Pareto's folder for such things, or one of its parts. Nothing is made on disk. */
export function cacheFolder(
  part = "",
  env: NodeJS.ProcessEnv = process.env,
  platform: NodeJS.Platform = process.platform,
): string {
  const local = platform === "win32" ? env["LOCALAPPDATA"] : env["XDG_CACHE_HOME"];
  const root = local !== undefined && local !== "" ? local : join(homedir(), ".cache");
  return join(root, "pareto", part);
}
