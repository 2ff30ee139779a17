/**
 * @file Colours and typography of pages and of charts. Charts name colours by the same CSS variables, so they follow the
 * light or dark setting by themselves.
 */

const LIGHT: Readonly<Record<string, string>> = {
  paper: "#fdfdfb",
  ink: "#1d2126",
  soft: "#5d6670",
  line: "#e2e4e0",
  "series-0": "#3a66b7",
  "series-1": "#d0661f",
  "series-2": "#3d8b5f",
  "series-3": "#8a56ac",
  "series-4": "#a3333d",
  "series-5": "#5f6b76",
  "series-6": "#2b8c99",
  "series-7": "#a07d17",
  cold: "#7b9fd4",
  hot: "#e07b39",
  sync: "#8a5cc2",
  train: "#7b9fd4",
  evaluate: "#4fa396",
  checkpoint: "#8f979e",
  prepare: "#c9ccc4",
  calibrate: "#cfa62b",
  other: "#b08d78",
};

const DARK: typeof LIGHT = {
  paper: "#15181c",
  ink: "#e4e6e3",
  soft: "#9aa3ac",
  line: "#2c3138",
  "series-0": "#7fa6ea",
  "series-1": "#f0944d",
  "series-2": "#6fc093",
  "series-3": "#bd8fe0",
  "series-4": "#e27680",
  "series-5": "#a0abb5",
  "series-6": "#5cc0cc",
  "series-7": "#d3b049",
  cold: "#6288c4",
  hot: "#e58a4b",
  sync: "#a67fdb",
  train: "#6288c4",
  evaluate: "#5fb3a6",
  checkpoint: "#7c858d",
  prepare: "#4a5058",
  calibrate: "#d3b049",
  other: "#a5836f",
};

const SERIES = 8;

/** The colour of the i-th run, policy or method of a chart. */
export const seriesColor = (index: number): string => `series-${index % SERIES}`;

/** The colour of a stretch of a time line. */
export const spanColor = (name: string): string => (name in LIGHT ? name : "other");

const variables = (colors: typeof LIGHT) =>
  Object.entries(colors)
    .map(([name, color]) => `--${name}:${color}`)
    .join(";");

/** The colours, light and dark. @param selector of the element that has them */
export const colorStyle = (selector: string): string =>
  `${selector}{${variables(LIGHT)}}@media(prefers-color-scheme:dark){${selector}{${variables(DARK)}}}`;

/** The font of pages and charts. */
export const FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif';

/** The style of a page. */
export const PAGE_STYLE = `
:root { color-scheme: light dark; }
${colorStyle(":root")}
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 ${FONT}; }
main { max-width: 1040px; margin: 0 auto; padding: 48px 24px 80px; }
header { margin-bottom: 8px; }
h1 { font-size: 26px; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; margin: 0 0 6px; }
header p { margin: 0; color: var(--soft); }
section { margin-top: 44px; }
h2 { font-size: 17px; font-weight: 650; margin: 0 0 14px; padding-top: 14px; border-top: 1px solid var(--line); }
p { margin: 0 0 12px; max-width: 75ch; }
section > p { font-size: 14px; }
.scroll + p, .scroll + .scroll { margin-top: 14px; }
.grid + p { margin-top: 14px; color: var(--soft); font-size: 13px; }
.note { color: var(--soft); font-size: 13px; margin: 6px 0 0; max-width: 70ch; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 28px 32px; }
.wide { grid-column: 1 / -1; }
figure { margin: 0; min-width: 0; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 6px; }
figure svg { display: block; width: 100%; height: auto; color: var(--soft); }
.key { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 14px; max-width: none; font-size: 13px; color: var(--soft); }
figure .key { margin: 0 0 6px; }
i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 7px; }
a { color: var(--series-0); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 0 6px 32px; text-align: right; font-weight: 400; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; text-align: left; color: var(--soft); }
thead th { font-weight: 600; color: var(--ink); border-bottom: 1px solid var(--soft); vertical-align: bottom; }
tbody tr:last-child > * { border-bottom: 0; }
table.headline { font-size: 16px; min-width: min(100%, 520px); }
table.headline td { font-weight: 550; }
table.facts td { white-space: normal; overflow-wrap: anywhere; }
table.prose th, table.prose td { white-space: normal; text-align: left; vertical-align: top; min-width: 110px; }
details { margin-top: 8px; }
summary { cursor: pointer; font-size: 13px; color: var(--soft); }
ul { padding-left: 20px; margin: 0; }
@media (max-width: 720px) {
  .grid { grid-template-columns: minmax(0, 1fr); }
  main { padding: 28px 16px 56px; }
  th, td { padding-left: 16px; }
  table.headline { font-size: 14px; }
  .wide .chart { overflow-x: auto; }
  .wide svg { min-width: 640px; }
}
@media print {
  :root { color-scheme: light; ${variables(LIGHT)} }
  main { max-width: none; padding: 0; }
  h2 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; }
}
`;
