/**
 * @file The shapes of the click logs that can be made: how many tables, of how many rows, under which names.
 *
 * `kaggle` and `avazu` have the table sizes of the public data sets of those names; `small` has 26 tables of
 * about 300,000 rows in all, sized so that the first training run of a newcomer takes minutes.
 */

/** Name of a preset. */
export type SynthPresetName = "small" | "kaggle" | "avazu";

/** The columns of a synthetic click log. */
export interface SynthPreset {
  /** Name of the 0/1 column. */
  label: string;
  /** Name of the timestamp column. */
  time: string;
  /** Names of the count columns. */
  dense: readonly string[];
  /** Names of the categorical columns. */
  categorical: readonly string[];
  /** Distinct values that each categorical column draws from. */
  cardinalities: readonly number[];
  /** Days that the log spans; rows are spread over them evenly. */
  days: number;
}

const numbered = (letter: string, first: number, last: number): string[] =>
  Array.from({ length: last - first + 1 }, (_, index) => `${letter}${first + index}`);

/** Criteo Kaggle's table sizes, 33,762,577 rows in all. */
const KAGGLE_SIZES = [
  1460, 583, 10131227, 2202608, 305, 24, 12517, 633, 3, 93145, 5683, 8351593, 3194, 27, 14992, 5461306, 10,
  5652, 2173, 4, 7046547, 18, 15, 286181, 105, 142572,
] as const;

/** Kaggle's order of small and large tables; the largest are cut to a hundredth and the middle ones to a few thousand. */
const SMALL_SIZES = [
  1460, 583, 101312, 22026, 305, 24, 2517, 633, 3, 3145, 1683, 83515, 1194, 27, 1992, 20000, 10, 1652, 1173,
  4, 50000, 18, 15, 4181, 105, 2572,
] as const;

/** Avazu's table sizes, 9,449,226 rows in all (the two device columns hold nearly all of them). */
const AVAZU_SIZES = [
  8, 8, 4738, 7746, 27, 8553, 560, 37, 2686409, 6729487, 8252, 6, 5, 2627, 9, 10, 436, 5, 69, 173, 61,
] as const;

const criteo = {
  label: "label",
  time: "time",
  dense: numbered("I", 1, 13),
  categorical: numbered("C", 1, 26),
  days: 7,
};

/** Every preset by name. */
export const synthPresets: Readonly<Record<SynthPresetName, SynthPreset>> = {
  small: { ...criteo, cardinalities: SMALL_SIZES },
  kaggle: { ...criteo, cardinalities: KAGGLE_SIZES },
  avazu: {
    label: "click",
    time: "hour",
    dense: ["impressions"],
    categorical: [
      "C1",
      "banner_pos",
      "site_id",
      "site_domain",
      "site_category",
      "app_id",
      "app_domain",
      "app_category",
      "device_id",
      "device_ip",
      "device_model",
      "device_type",
      "device_conn_type",
      ...numbered("C", 14, 21),
    ],
    cardinalities: AVAZU_SIZES,
    days: 10,
  },
};
