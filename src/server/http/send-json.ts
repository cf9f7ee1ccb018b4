import { Readable } from 'node:stream';

import type { FastifyReply } from 'fastify';

/** Characters that are sent together. */
const CHUNK_LENGTH = 2 ** 16;

/**
 * Answers with JSON that comes in pieces. An answer of more than a chunk is made and sent chunk by chunk, as fast as the client takes it,
 * and others are served in between.
 * @param yieldTurn settles in a turn of the event loop for the next chunk
 */
export function sendJson(reply: FastifyReply, pieces: Iterable<string>, yieldTurn: () => Promise<void>): FastifyReply {
  const chunks = joined(pieces);
  const first = chunks.next().value ?? '';
  const second = chunks.next();
  void reply.header('content-type', 'application/json; charset=utf-8');
  if (second.done) return reply.send(first);
  const body = async function* (): AsyncGenerator<string> {
    yield first + second.value;
    for (const chunk of chunks) {
      await yieldTurn();
      yield chunk;
    }
  };
  return reply.send(Readable.from(body(), { objectMode: false }));
}

/** The pieces joined to chunks; the last may be shorter. */
function* joined(pieces: Iterable<string>): Generator<string, undefined> {
  let chunk = '';
  for (const piece of pieces) {
    chunk += piece;
    if (chunk.length < CHUNK_LENGTH) continue;
    yield chunk;
    chunk = '';
  }
  if (chunk !== '') yield chunk;
}
