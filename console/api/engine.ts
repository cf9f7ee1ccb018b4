import { send } from './client.js';
import { eventsOf } from './events.js';
import type { EngineState } from './types.js';

/**
 * What the engine does, from now on.
 * @param signal ends it
 * @throws ApiFailure where the server refuses it, ServerAway where the connection is lost
 */
export async function* followEngine(signal: AbortSignal): AsyncGenerator<EngineState> {
  yield* eventsOf<EngineState>(await send('admin/engine/events', { as: 'operator', signal }));
}
