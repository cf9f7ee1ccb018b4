import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { PrefixLibrary } from '../../prefix/library.js';
import { errorResponses } from '../schema/error.js';
import { audit } from './audit.js';
import { toPrefixDetails } from './response.js';
import { PrefixDetails, PrefixParams } from './schema.js';
import { NewShares } from './share-schema.js';

/** Parts of the program that the routes of shares use. */
export interface ShareDeps {
  readonly library: Pick<PrefixLibrary, 'setShares' | 'rollback'>;
}

const tags = ['prefixes'];
const setSchema = {
  operationId: 'setPrefixShares',
  summary: 'Divide the requests of a prefix among its versions',
  description:
    'Requests with the same `user` get the same version while the shares stand; others get one by chance. Only as many users change their version as ' +
    'must. In force on every replica as an upload is.',
  tags,
  params: PrefixParams,
  body: NewShares,
  response: { 200: PrefixDetails, ...errorResponses },
};
const rollbackSchema = {
  operationId: 'rollbackPrefixShares',
  summary: 'Undo the last change of shares',
  description: 'Of an upload, of `PUT .../shares`, or of a rollback: doing it twice changes nothing.',
  tags,
  params: PrefixParams,
  response: { 200: PrefixDetails, ...errorResponses },
};

/** Routes that say which versions of a prefix answer. */
const shareRoutes: FastifyPluginAsyncTypebox<ShareDeps> = async (app, { library }) => {
  app.put('/prefixes/:name/shares', { schema: setSchema }, async (request) => {
    const { tenant, params, body } = request;
    const details = toPrefixDetails(await library.setShares(tenant, params.name, body.shares), tenant);
    audit(request, 'shares.set', params.name, { shares: toLogged(details) });
    return details;
  });

  app.post('/prefixes/:name/shares/rollback', { schema: rollbackSchema }, async (request) => {
    const { tenant, params } = request;
    const details = toPrefixDetails(await library.rollback(tenant, params.name), tenant);
    audit(request, 'shares.rollback', params.name, { shares: toLogged(details) });
    return details;
  });
};

export default shareRoutes;

function toLogged({ shares }: PrefixDetails): object[] {
  return shares.map(({ version_id, percent }) => ({ version_id, percent }));
}
