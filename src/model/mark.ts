/** Marks: everything that a visitor does except moves and scrolls. They are rare. */

export type View = {
  /** Viewport width and height, CSS pixels. */
  vw: number;
  vh: number;
  /** Document width and height, CSS pixels. */
  dw: number;
  dh: number;
};

export const POINTERS = ['mouse', 'touch', 'pen'] as const;

/** `x` and `y` of a mark are the pointer's place, page pixels. */
export type Mark =
  | {
      type: 'click';
      x: number;
      y: number;
      button: number;
      /** Position in the element, 0 to ELEMENT_SCALE. */
      ex: number;
      ey: number;
      /** Short CSS selector of the element; may be empty. */
      selector: string;
    }
  | { type: 'page'; page: string }
  | ({ type: 'resize' } & View)
  | { type: 'visibility'; visible: boolean }
  | { type: 'pointer'; pointer: (typeof POINTERS)[number] };

/** A mark of one type without its type. */
export type MarkFields<T extends Mark['type']> = Omit<Extract<Mark, { type: T }>, 'type'>;

/**
 * Marks that are published: each becomes a stream event of the same name, with the fields of the mark. The value is the
 * name of their list in a passage.
 */
export const PUBLISHED_MARKS = { click: 'clicks' } as const satisfies Partial<Record<Mark['type'], string>>;

export type PublishedName = keyof typeof PUBLISHED_MARKS;
export type PublishedMark = Extract<Mark, { type: PublishedName }>;
export type MarkList = (typeof PUBLISHED_MARKS)[PublishedName];
export const MARK_LISTS = Object.entries(PUBLISHED_MARKS) as [name: PublishedName, list: MarkList][];

/** Returns an object with what `make` returns for each list of marks. */
export function byMarkList<T>(make: (name: PublishedName) => T): Record<MarkList, T> {
  return Object.fromEntries(MARK_LISTS.map(([name, list]) => [list, make(name)])) as Record<MarkList, T>;
}

export function isPublished(mark: Mark): mark is PublishedMark {
  return Object.hasOwn(PUBLISHED_MARKS, mark.type);
}
