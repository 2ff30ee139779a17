/**
 * @file Which folder may import from which, checked by dependency-cruiser as part of `npm run lint`. Imports of types
 * and dynamic imports count like any other.
 *
 * `layers` is the one table of it: a layer imports from the layers below it. Folders side by side in a layer, such as
 * the domains, do not know each other.
 */

/** From the bottom up. */
const layers = [
  ["base"],
  ["engine"],
  ["nn"],
  ["run"],
  ["report"],
  ["recsys", "llm", "video", "protein"],
  ["server"],
  ["cli"],
];

/** Targets that the rest of the code enters through their `index.ts` alone. */
const targets = ["cuda", "cpu"];

/** What may look inside a target: its tests, and the script that builds its kernels. */
const insiders = ["^tests/", "^scripts/buildKernels\\.ts$"];

const within = (folders) => `^src/(${folders.join("|")})/`;

const upward = layers.slice(0, -1).map((folders, i) => ({
  name: "no-upward-import",
  comment: `${folders.join(", ")}: imports come from the layers below`,
  severity: "error",
  from: { path: within(folders) },
  to: { path: within(layers.slice(i + 1).flat()) },
}));

const sideways = layers
  .filter((folders) => folders.length > 1)
  .map((folders) => ({
    name: "no-import-between-domains",
    comment: "domains share what lies below them and do not know each other",
    severity: "error",
    from: { path: within(folders) },
    to: { path: within(folders), pathNot: "^src/$1/" },
  }));

const pastIndex = targets.map((target) => ({
  name: "no-import-past-target-index",
  comment: `engine/targets/${target} is entered through its index.ts`,
  severity: "error",
  from: { pathNot: [`^src/engine/targets/${target}/`, ...insiders] },
  to: {
    path: `^src/engine/targets/${target}/`,
    pathNot: `^src/engine/targets/${target}/index\\.ts$`,
  },
}));

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    {
      name: "no-cycle",
      comment: "no file imports itself by way of others, for types or dynamically neither",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-import-out-of-src",
      comment: "what is shipped does not import tests, benchmarks, scripts or examples",
      severity: "error",
      from: { path: "^src/" },
      to: { path: "^(tests|bench|scripts|examples)/" },
    },
    ...upward,
    ...sideways,
    {
      name: "no-import-between-targets",
      comment: "targets do not know each other",
      severity: "error",
      from: { path: "^src/engine/targets/([^/]+)/" },
      to: { path: "^src/engine/targets/", pathNot: "^src/engine/targets/$1/" },
    },
    ...pastIndex,
    {
      name: "no-folder-outside-layers",
      comment: "a new folder of src needs its place in the table of layers",
      severity: "error",
      from: {},
      to: { path: "^src/", pathNot: within(layers.flat()) },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "/assembly/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: { extensions: [".ts", ".js"], conditionNames: ["import", "node", "types"] },
  },
};
