/**
 * @file Text and tables as HTML. Pure. Whatever came from a user (column names, file names, config values, messages)
 * passes {@link escapeHtml}.
 */
import { visibleLines } from "../base/visibleText.ts";
import type { Cell, Table } from "./page.ts";

/** Text as HTML: safe between tags and inside quoted attributes, with nothing that turns the order of reading around. */
export function escapeHtml(text: string): string {
  return visibleLines(text)
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#39;");
}

/** A cell's content. A link with a scheme, which could run code, is shown as text. */
export function cellHtml(cell: Cell | string): string {
  if (typeof cell === "string") return escapeHtml(cell);
  const swatch =
    cell.swatch === undefined ? "" : `<i style="background:var(--${escapeHtml(cell.swatch)})"></i>`;
  const text = escapeHtml(cell.text);
  const isLink = cell.href !== undefined && !/^\s*[a-z][a-z0-9+.-]*:/i.test(cell.href);
  return swatch + (isLink ? `<a href="${escapeHtml(cell.href!)}">${text}</a>` : text);
}

/** A table. */
export function tableHtml({ head, rows, look = "plain" }: Table): string {
  const headLine = head.map((cell) => `<th scope="col">${cellHtml(cell)}</th>`).join("");
  const lines = rows.map((cells) =>
    cells
      .map((cell, i) => (i === 0 ? `<th scope="row">${cellHtml(cell)}</th>` : `<td>${cellHtml(cell)}</td>`))
      .join(""),
  );
  return (
    `<div class="scroll"><table class="${look}"><thead><tr>${headLine}</tr></thead>` +
    `<tbody>${lines.map((line) => `<tr>${line}</tr>`).join("")}</tbody></table></div>`
  );
}

/** What colours stand for. */
export function keyHtml(cells: readonly Cell[]): string {
  return `<p class="key">${cells.map((cell) => `<span>${cellHtml(cell)}</span>`).join("")}</p>`;
}
