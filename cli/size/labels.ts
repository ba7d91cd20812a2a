/** Where the labels of points go in a picture, so that they can be read. Pure; everything is in pixels. */

export interface Spot {
  readonly x: number;
  /** From the top. */
  readonly y: number;
}

export interface Box {
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface Line {
  readonly from: Spot;
  readonly to: Spot;
}

/** Beside its point: which end of the text is there, and how far from it the text is. */
export interface Place {
  readonly align: "left" | "right";
  readonly dx: number;
  /** Of its middle. */
  readonly dy: number;
}

/** The first that is free is taken: curves go up to the right. */
export const PLACES: readonly Place[] = [
  { align: "left", dx: 6, dy: 10 },
  { align: "right", dx: -6, dy: -10 },
  { align: "right", dx: -6, dy: 10 },
  { align: "left", dx: 6, dy: -10 },
];

/** A letter of a label by its size: fonts that are wider than most. */
const LETTER = { width: 0.6, height: 1.3 };

export function boxOf(text: string, fontSize: number, { x, y }: Spot, { align, dx, dy }: Place): Box {
  const width = text.length * LETTER.width * fontSize;
  const half = (LETTER.height * fontSize) / 2;
  const left = align === "left" ? x + dx : x + dx - width;
  return { left, right: left + width, top: y + dy - half, bottom: y + dy + half };
}

/** What is drawn already, and how large the picture is. */
export interface Drawing {
  readonly width: number;
  readonly height: number;
  readonly fontSize: number;
  readonly lines: readonly Line[];
  readonly boxes: readonly Box[];
}

/**
 * A place for each label, the first ones first; undefined for those that would leave the frame, or lie over a
 * line or over another.
 */
export function placesOf(
  labels: readonly (Spot & { readonly text: string })[],
  { width, height, fontSize, lines, boxes }: Drawing,
): (Place | undefined)[] {
  const taken = [...boxes];
  return labels.map((label) => {
    const found = PLACES.map((place) => ({ place, box: boxOf(label.text, fontSize, label, place) })).find(
      ({ box }) =>
        box.left >= 0 &&
        box.right <= width &&
        box.top >= 0 &&
        box.bottom <= height &&
        !taken.some((one) => overlap(box, one)) &&
        !lines.some((line) => crosses(line, box)),
    );
    if (found !== undefined) taken.push(found.box);
    return found?.place;
  });
}

export const overlap = (one: Box, other: Box): boolean =>
  one.left < other.right && other.left < one.right && one.top < other.bottom && other.top < one.bottom;

/** Whether a part of the line is in the box: what remains of it between the box's sides. */
export function crosses({ from, to }: Line, { left, right, top, bottom }: Box): boolean {
  let [first, last] = [0, 1];
  for (const [start, length, low, high] of [
    [from.x, to.x - from.x, left, right],
    [from.y, to.y - from.y, top, bottom],
  ] as const) {
    if (length === 0) {
      if (start < low || start > high) return false;
      continue;
    }
    const ends = [(low - start) / length, (high - start) / length];
    first = Math.max(first, Math.min(...ends));
    last = Math.min(last, Math.max(...ends));
  }
  return first <= last;
}
