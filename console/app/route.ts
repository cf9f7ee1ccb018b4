import { createStore } from '../ui/store.js';

/** Where the console is: all of it stands in the address's fragment, which browsers do not send. */
export interface Route {
  /** Name of the page, such as `playground`. */
  readonly page: string;
  /** What the page itself keeps in the address. */
  readonly query: URLSearchParams;
}

/** The present route. */
export const route = createStore<Route>(parseRoute(location.hash));

addEventListener('hashchange', () => route.set(parseRoute(location.hash)));

/** The address of a page, for a link. */
export function hrefOf(page: string, query = new URLSearchParams()): string {
  const text = query.toString();
  return `#/${page}${text === '' ? '' : `?${text}`}`;
}

/** Writes what a page keeps into the address, without a step in the browser's history. */
export function replaceQuery(page: string, query: URLSearchParams): void {
  history.replaceState(null, '', hrefOf(page, query));
}

function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  return { page: path === '' ? 'playground' : path, query: new URLSearchParams(query) };
}
