/**
 * @file The text parts of the report: escaping, tables, the frame of the page. Pure. Whatever came from a user
 * (column names, file names, config values, messages) passes {@link escapeHtml}.
 */

/** Text as HTML: safe between tags and inside quoted attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** JSON that may stand inside a `<script>`: no `<` can end it, no line separator can break it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll("<", "\\u003c")
    .replaceAll("\u2028", "\\u2028")
    .replaceAll("\u2029", "\\u2029");
}

/** A cell: text, or text with a swatch of a colour variable in front. */
export interface Cell {
  text: string;
  /** Name of a CSS variable without dashes, e.g. `run-0`. */
  swatch?: string;
}

const cellHtml = (cell: Cell | string): string => {
  if (typeof cell === "string") return escapeHtml(cell);
  const swatch = cell.swatch === undefined ? "" : `<i style="background:var(--${cell.swatch})"></i>`;
  return `${swatch}${escapeHtml(cell.text)}`;
};

/** A table; the first column holds names (left), the others values (right, equal-width digits). */
export function table(
  head: readonly (Cell | string)[],
  rows: readonly (readonly (Cell | string)[])[],
  className = "",
): string {
  const line = (cells: readonly (Cell | string)[], tag: "th" | "td"): string =>
    `<tr>${cells
      .map((cell, c) =>
        c === 0 && tag === "td"
          ? `<th scope="row">${cellHtml(cell)}</th>`
          : `<${tag}>${cellHtml(cell)}</${tag}>`,
      )
      .join("")}</tr>`;
  return (
    `<div class="scroll"><table class="${className}"><thead>${line(head, "th")}</thead>` +
    `<tbody>${rows.map((row) => line(row, "td")).join("")}</tbody></table></div>`
  );
}

/** A chart's place: the page's script draws into it by its `id`. */
export function figure(id: string, title: string, note = ""): string {
  const caption = note === "" ? "" : `<p class="note">${escapeHtml(note)}</p>`;
  return `<figure id="${id}"><figcaption>${escapeHtml(title)}</figcaption><div class="plot"></div>${caption}</figure>`;
}

/** Swatches with names, as the key of a group of charts. */
export function legend(cells: readonly Cell[]): string {
  return `<p class="legend">${cells.map((cell) => `<span>${cellHtml(cell)}</span>`).join("")}</p>`;
}

/** A section with a heading. */
export function section(title: string, ...parts: string[]): string {
  return `<section><h2>${escapeHtml(title)}</h2>${parts.join("")}</section>`;
}

/** Colours and typography. Charts use the same variables, so they follow the light or dark setting by themselves. */
export const STYLE = `
:root { color-scheme: light dark; --paper: #fdfdfb; --ink: #1d2126; --soft: #5d6670; --line: #e2e4e0; --wash: #f4f5f1;
  --run-0: #3a66b7; --run-1: #d0661f; --run-2: #3d8b5f; --run-3: #8a56ac; --run-4: #a3333d; --run-5: #5f6b76; --run-6: #2b8c99; --run-7: #a07d17;
  --cold: #7b9fd4; --hot: #e07b39; --sync: #8a5cc2; --evaluate: #4fa396; --checkpoint: #8f979e; --prepare: #c9ccc4; --calibrate: #cfa62b; --other: #b08d78; }
@media (prefers-color-scheme: dark) { :root { --paper: #15181c; --ink: #e4e6e3; --soft: #9aa3ac; --line: #2c3138; --wash: #1c2025;
  --run-0: #7fa6ea; --run-1: #f0944d; --run-2: #6fc093; --run-3: #bd8fe0; --run-4: #e27680; --run-5: #a0abb5; --run-6: #5cc0cc; --run-7: #d3b049;
  --cold: #6288c4; --hot: #e58a4b; --sync: #a67fdb; --evaluate: #5fb3a6; --checkpoint: #7c858d; --prepare: #4a5058; --calibrate: #d3b049; --other: #a5836f; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { max-width: 1040px; margin: 0 auto; padding: 48px 24px 80px; }
header { margin-bottom: 8px; }
h1 { font-size: 26px; font-weight: 650; letter-spacing: -0.015em; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 16px; font-weight: 650; margin: 48px 0 12px; padding-top: 14px; border-top: 1px solid var(--line); }
header p, .note { color: var(--soft); margin: 0; }
.note { font-size: 13px; margin-top: 6px; max-width: 70ch; }
.grid { display: grid; grid-template-columns: repeat(2, minmax(0, 1fr)); gap: 24px 32px; }
figure { margin: 0 0 4px; min-width: 0; }
figcaption { font-size: 13px; font-weight: 600; margin-bottom: 6px; }
.plot { min-height: 120px; }
.plot svg { --plot-background: var(--paper); background: none; overflow: visible; font: 11px system-ui, sans-serif; color: var(--soft); }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 0 0 14px; font-size: 13px; color: var(--soft); }
i { display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 7px; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { padding: 6px 0 6px 32px; text-align: right; font-weight: 400; white-space: nowrap; border-bottom: 1px solid var(--line); }
th:first-child { padding-left: 0; text-align: left; color: var(--soft); }
thead th { font-weight: 600; color: var(--ink); border-bottom: 1px solid var(--soft); }
tbody tr:last-child > * { border-bottom: 0; }
table.headline { font-size: 16px; min-width: min(100%, 520px); }
table.headline td { font-weight: 550; }
table.small { font-size: 13px; }
table.config td { white-space: normal; overflow-wrap: anywhere; }
details { margin-top: 12px; } summary { cursor: pointer; font-size: 13px; color: var(--soft); }
ul { padding-left: 20px; margin: 0; }
@media (max-width: 720px) { .grid { grid-template-columns: minmax(0, 1fr); } main { padding: 28px 16px 56px; } th, td, table.headline td { padding-left: 16px; } table.headline { font-size: 14px; } }
@media print { h2 { break-after: avoid; } figure { break-inside: avoid; } }
`;
