/** Minimal SVG elements for the pictures, as text: https://www.w3.org/TR/SVG2/ */

export type Attributes = Readonly<Record<string, string | number | undefined>>;

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Box extends Point {
  readonly width: number;
  readonly height: number;
}

/** Escapes any text, such as a model's name. */
export function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** An element; undefined attributes are omitted. Children are rendered SVG. */
export function element(name: string, attributes: Attributes, ...children: readonly string[]): string {
  const written = Object.entries(attributes).flatMap(([key, value]) =>
    value === undefined ? [] : [` ${key}="${escaped(String(value))}"`],
  );
  const open = `<${name}${written.join("")}`;
  return children.length === 0 ? `${open}/>` : `${open}>${children.join("")}</${name}>`;
}

export function text(at: Point, content: string, attributes: Attributes = {}): string {
  return element("text", { x: at.x, y: at.y, ...attributes }, escaped(content));
}

/** A rectangle with round corners; `title` is its tooltip. */
export function panel(box: Box, attributes: Attributes, title?: string): string {
  const { x, y, width, height } = box;
  const shown = title === undefined ? [] : [element("title", {}, escaped(title))];
  return element("rect", { x, y, width, height, rx: 6, ...attributes }, ...shown);
}

/** A line through points. */
export function line(points: readonly Point[], attributes: Attributes): string {
  const path = points.map(({ x, y }, index) => `${index === 0 ? "M" : "L"}${x} ${y}`).join("");
  return element("path", { d: path, fill: "none", ...attributes });
}
