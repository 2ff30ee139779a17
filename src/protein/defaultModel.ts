/** @file Where the model lies that ships with Pareto. */
import { fileURLToPath } from "node:url";

/** Folder of the model of the 73 families of HF73, which `classify` takes when it is given none. */
export const DEFAULT_MODEL_PATH = fileURLToPath(new URL("../../models/profamnet-hf73", import.meta.url));
