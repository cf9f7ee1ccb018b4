import type { FastifyRequest } from 'fastify';

/** The key in `Authorization: Bearer KEY`; undefined when there is none. */
export function bearerKey({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
