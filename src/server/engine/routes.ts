import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { EngineFeed } from '../../metrics/feed/engine-feed.js';
import type { BaseModel } from '../../prefix/kv.js';
import { ApiError } from '../errors.js';
import type { Drain } from '../http/plugins/drain.js';
import { sendEvents } from '../http/send-events.js';
import { errorResponses } from '../schema/error.js';
import { needsAdminKey, needsNoKey } from '../schema/security.js';
import { toEngineState } from './response.js';
import { EngineState } from './schema.js';

/** Parts of the program that the engine's routes use. */
export interface EngineRouteDeps {
  readonly engineFeed: Pick<EngineFeed, 'isFull' | 'subscribe' | 'now' | 'endAll'>;
  readonly base: BaseModel;
  readonly drain: Drain;
  /** Whether the operator has a key; on a server without keys everybody is the operator. */
  readonly hasKey: boolean;
}

const tags = ['admin'];
const stateSchema = {
  operationId: 'getEngine',
  summary: 'What the engine does now, in counts',
  description:
    'Nothing tells of whom or of what: tenants are numbers, and there are no texts. On a server without keys, anybody may ask.',
  tags,
  response: { 200: EngineState, ...errorResponses },
};
const eventsSchema = {
  operationId: 'getEngineEvents',
  summary: 'What the engine does, once a second',
  description:
    'Server-sent events, each with the whole state; `[DONE]` when the server shuts down. A client that reads too slowly loses events. ' +
    `At most ${EngineFeed.maxSubscriptions} clients are served at a time.`,
  tags,
  response: {
    200: {
      description: 'An event each second.',
      content: { 'text/event-stream': { schema: EngineState } },
    },
    ...errorResponses,
  },
};

/** Routes of `/v1/admin/engine`. */
const engineRoutes: FastifyPluginAsyncTypebox<EngineRouteDeps> = async (app, { engineFeed, base, drain, hasKey }) => {
  const security = hasKey ? needsAdminKey : needsNoKey;
  const { contextLength } = base;
  drain.onStart(() => engineFeed.endAll());
  app.addHook('preClose', async () => engineFeed.endAll());

  app.get('/engine', { schema: { ...stateSchema, security } }, async () =>
    toEngineState(await engineFeed.now(), contextLength),
  );

  app.get('/engine/events', { schema: { ...eventsSchema, security } }, async (_, reply) => {
    if (engineFeed.isFull) refuse();
    const subscription = engineFeed.subscribe();
    reply.raw.once('close', () => subscription.end());
    return sendEvents(reply, async (send) => {
      await send(toEngineState(await engineFeed.now(), contextLength));
      for (let event = await subscription.next(); event !== undefined; event = await subscription.next())
        await send(toEngineState(event, contextLength));
    });
  });
};

export default engineRoutes;

function refuse(): never {
  const message = `${EngineFeed.maxSubscriptions} clients follow the engine's events already, which is the limit. Close one, or ask for \`/v1/admin/engine\`.`;
  throw new ApiError('too_many_listeners', message);
}
