/** A part of a list, newest first. */
export interface Page<T> {
  readonly data: readonly T[];
  readonly hasMore: boolean;
}

export interface PageOptions {
  readonly limit: number;
  /** An id: the page begins behind it. An id that is not there begins nothing: the page is empty. */
  readonly after?: string | undefined;
}

/** The page of `items`, which are newest first. */
export function pageOf<T extends { readonly id: string }>(items: readonly T[], { limit, after }: PageOptions): Page<T> {
  const at = after === undefined ? 0 : items.findIndex(({ id }) => id === after) + 1;
  const behind = after !== undefined && at === 0 ? [] : items.slice(at);
  return { data: behind.slice(0, limit), hasMore: behind.length > limit };
}

/** Everything that `list` has, page by page. */
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
