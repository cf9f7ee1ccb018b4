import fp from 'fastify-plugin';

import { ApiError } from '../../errors.js';

/** Refuses compressed bodies before they are read: nothing in this server decompresses. */
export default fp(
  async (app) => {
    app.addHook('preParsing', async ({ headers }) => {
      const encoding = headers['content-encoding'] ?? 'identity';
      if (encoding.toLowerCase() === 'identity') return;
      throw new ApiError('unsupported_media_type', `The header 'content-encoding' must be identity or left out.`);
    });
  },
  { name: 'content-encoding', fastify: '5.x' },
);
