/** @file Where encoded click logs are kept between commands. */
import { cacheFolder } from "../../base/cacheFolder.ts";
import { option, text } from "./spec.ts";

/** `--cache`. */
export const cache = option("dir", text, {
  meaning: "Folder in which encoded click logs are kept, to be used again",
  default: cacheFolder(),
  defaultText: "~/.cache/pareto",
});
