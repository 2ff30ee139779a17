/** @file Types of what scripts inside a report's page use: the browser and Observable Plot. */

/** The little of the browser that is used here. */
export interface PageElement {
  clientWidth: number;
  textContent: string | null;
  replaceChildren(...children: unknown[]): void;
  querySelector(selector: string): PageElement | null;
}
/** What a chart consists of. */
export type Mark = object;
/** The little of Observable Plot that is used here. */
export interface PlotApi {
  plot(options: object): unknown;
  lineY(data: readonly object[], options: object): Mark;
  areaY(data: readonly object[], options: object): Mark;
  dot(data: readonly object[], options: object): Mark;
  text(data: readonly object[], options: object): Mark;
  ruleX(data: readonly unknown[], options: object): Mark;
  ruleY(data: readonly unknown[], options: object): Mark;
  rect(data: readonly object[], options: object): Mark;
  gridY(options: object): Mark;
  tip(data: readonly object[], options: object): Mark;
  pointer(options: object): object;
  pointerX(options: object): object;
}
