/** @file The stops of the tour, in its order: a line a system. */
import { fae } from "./fae.ts";
import { keyformer } from "./keyformer.ts";
import { profamnet } from "./profamnet.ts";
import type { TourStop } from "./tourStop.ts";

/** The stops. */
export const tourStops: readonly TourStop[] = [fae, keyformer, profamnet];
