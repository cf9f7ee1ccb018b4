import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';
import { noRoute } from './error-handler.js';

/** The methods of one path. */
interface Path {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/**
 * Refuses what has no route, before its body is read: 405 where the path has routes for other methods, which `Allow` names, else 404. `OPTIONS`
 * of a path with routes is answered with `Allow` alone; where web pages of other origins are let in, `cors` answers it before. Register it
 * before the routes that it is to know.
 */
export default fp(
  async (app) => {
    const paths = new Map<string, Path>();
    app.addHook('onRoute', ({ url, method }) => {
      if (url === '*') return; // the route with which `cors` takes every OPTIONS
      const path = paths.get(url) ?? { pattern: toPattern(url), methods: new Set() };
      for (const one of [method].flat()) path.methods.add(one);
      paths.set(url, path);
    });
    app.addHook('onRequest', async ({ is404, method, raw: { url = '' } }, reply) => {
      if (!is404) return;
      const path = pathOf(url);
      const known = [...paths.values()].filter(({ pattern }) => pattern.test(path));
      if (known.length === 0) throw noRoute();
      const methods = new Set([...known.flatMap((one) => [...one.methods]), 'OPTIONS']);
      const allow = [...methods].sort().join(', ');
      if (method === 'OPTIONS') return reply.code(204).header('allow', allow).send();
      throw new ApiError('method_not_allowed', `This route takes ${allow}, not ${method}.`, { headers: { allow } });
    });
  },
  { name: 'methods', fastify: '5.x', dependencies: ['error-handler'] },
);

/** The paths of a route's pattern: a parameter is one segment, and a star is all that follows. */
function toPattern(url: string): RegExp {
  const source = url
    .replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&')
    .replaceAll(/:\w+/g, '[^/]+')
    .replace('*', '.*');
  return new RegExp(`^${source}$`);
}

/** The path of a request's target, which may be a whole URL, decoded as the router does: a slash within a segment stays encoded. */
function pathOf(url: string): string {
  const [path = ''] = url.replace(/^\w+:\/\/[^/?#]*/, '').split(/[?#]/);
  try {
    return decodeURI(path);
  } catch {
    return path; // of no route
  }
}
