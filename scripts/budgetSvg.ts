/**
 * @file Quality against cache budget as an SVG picture: panels side by side with a key, light or dark as its reader
 * prefers. Plain text, the same for the same figures.
 */

/** A point with its interval. Percent. */
interface Point {
  x: number;
  y: number;
  low: number;
  high: number;
}

/** One plot. */
export interface Panel {
  title: string;
  note: string;
  /** Right answers with everything cached, percent. */
  full: number;
  lines: readonly { name: string; points: readonly Point[] }[];
}

const WIDTH = 360;
const HEIGHT = 300;
const LEFT = 44;
const GAP = 36;
const TOP = 48;
const BOTTOM = 46;
const KEY = 120;
const X_TICKS = [0, 20, 40, 60, 80, 100];
const Y_TICKS = [0, 25, 50, 75, 100];

const LIGHT = ["#d0661f", "#3d8b5f", "#3a66b7", "#8a56ac", "#2b8c99", "#a07d17", "#7d868f"];
const DARK = ["#f0944d", "#6fc093", "#7fa6ea", "#bd8fe0", "#5cc0cc", "#d3b049", "#a0abb5"];

const round = (value: number) => Number(value.toFixed(1));

function style(): string {
  const colors = (palette: readonly string[]) => palette.map((color, i) => `.c${i}{color:${color}}`).join("");
  return `text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#3c444c}.t{font-weight:600;fill:#1d2126}.n{font-size:11px;fill:#6a737d}.g{stroke:#8a929a;stroke-opacity:.22}.f{stroke:#3c444c;stroke-dasharray:4 3}.l{fill:none;stroke:currentColor;stroke-width:2}.b{stroke:currentColor;stroke-opacity:.5}.d{fill:currentColor}${colors(LIGHT)}@media(prefers-color-scheme:dark){text{fill:#b6bec6}.t{fill:#e6e9ec}.n{fill:#9aa3ac}.f{stroke:#b6bec6}${colors(DARK)}}`;
}

function panelSvg({ title, note, full, lines }: Panel, left: number): string {
  const x = (value: number) => round(left + (value / 100) * WIDTH);
  const y = (value: number) => round(TOP + (1 - value / 100) * HEIGHT);
  const parts = [
    `<text class="t" x="${left}" y="18">${title}</text>`,
    `<text class="n" x="${left}" y="34">${note}</text>`,
    ...Y_TICKS.map(
      (tick) =>
        `<line class="g" x1="${left}" x2="${left + WIDTH}" y1="${y(tick)}" y2="${y(tick)}"/><text class="n" x="${left - 8}" y="${y(tick) + 4}" text-anchor="end">${tick}</text>`,
    ),
    ...X_TICKS.map(
      (tick) => `<text class="n" x="${x(tick)}" y="${TOP + HEIGHT + 18}" text-anchor="middle">${tick}</text>`,
    ),
    `<text class="n" x="${left + WIDTH / 2}" y="${TOP + HEIGHT + 38}" text-anchor="middle">% of the prompt kept in the cache</text>`,
    `<line class="f" x1="${left}" x2="${left + WIDTH}" y1="${y(full)}" y2="${y(full)}"/>`,
  ];
  for (const [i, { points }] of lines.entries()) {
    // A little apart, or bars of several lines would hide each other.
    const shift = 0.3 * (i - (lines.length - 1) / 2);
    const at = (point: Point) => x(point.x + shift);
    parts.push(
      `<g class="c${i}">`,
      ...points.map(
        (point) =>
          `<line class="b" x1="${at(point)}" x2="${at(point)}" y1="${y(point.low)}" y2="${y(point.high)}"/>`,
      ),
      `<polyline class="l" points="${points.map((point) => `${at(point)},${y(point.y)}`).join(" ")}"/>`,
      ...points.map((point) => `<circle class="d" cx="${at(point)}" cy="${y(point.y)}" r="2.6"/>`),
      "</g>",
    );
  }
  return parts.join("\n");
}

function keySvg(names: readonly string[], left: number): string {
  return [
    ...names.map((name, i) => {
      const y = TOP + 14 + 22 * i;
      return `<g class="c${i}"><line class="l" x1="${left}" x2="${left + 20}" y1="${y - 4}" y2="${y - 4}"/></g><text x="${left + 28}" y="${y}">${name}</text>`;
    }),
    `<line class="f" x1="${left}" x2="${left + 20}" y1="${TOP + 10 + 22 * names.length}" y2="${TOP + 10 + 22 * names.length}"/><text x="${left + 28}" y="${TOP + 14 + 22 * names.length}">full cache</text>`,
  ].join("\n");
}

/** Panels with the same lines, and their key. */
export function budgetSvg(panels: readonly Panel[]): string {
  const width = panels.length * (LEFT + WIDTH + GAP) + KEY;
  const height = TOP + HEIGHT + BOTTOM;
  const names = panels[0]!.lines.map(({ name }) => name);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Right answers in percent by the share of the prompt that is kept, for each cache policy">`,
    `<style>${style()}</style>`,
    ...panels.map((panel, i) => panelSvg(panel, LEFT + i * (LEFT + WIDTH + GAP))),
    keySvg(names, panels.length * (LEFT + WIDTH + GAP)),
    "</svg>\n",
  ].join("\n");
}
