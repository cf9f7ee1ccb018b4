/** A part of a list. */
export interface Page<T> {
  readonly data: readonly T[];
  /** The list goes on behind the page. */
  readonly hasMore: boolean;
}

export interface PageOptions {
  /** Most entries of the page, at least 1. */
  readonly limit: number;
  /** Id, name or other key of an entry: the page begins behind it. */
  readonly after?: string | undefined;
}

/** The first page of `items`. @param goesOn the list has more than `items` */
export function firstPage<T>(items: readonly T[], limit: number, goesOn = false): Page<T> {
  return { data: items.slice(0, limit), hasMore: goesOn || items.length > limit };
}

/** A page of a list in the order of `items`; it is empty if no item has the id `after`. */
export function pageOf<T extends { readonly id: string }>(items: readonly T[], { limit, after }: PageOptions): Page<T> {
  const at = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1;
  return firstPage(after !== undefined && at === 0 ? [] : items.slice(at), limit);
}

/** A page of a list in the order of its keys, which are ASCII: it begins behind `after`, whether an item has that key or not. */
export function pageByKey<T>(
  items: readonly T[],
  keyOf: (item: T) => string,
  { limit, after = '' }: PageOptions,
): Page<T> {
  const behind = items.filter((item) => keyOf(item) > after).sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  return firstPage(behind, limit);
}

/** Reads a whole list, page by page. */
export async function everything<T extends { readonly id: string }>(
  list: (options: PageOptions) => Promise<Page<T>>,
): Promise<T[]> {
  const found: T[] = [];
  for (let more = true; more;) {
    const page = await list({ limit: 100, after: found.at(-1)?.id });
    found.push(...page.data);
    more = page.hasMore && page.data.length > 0; // those of a page may all have vanished
  }
  return found;
}
