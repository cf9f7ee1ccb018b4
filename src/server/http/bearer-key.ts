import type { FastifyRequest } from 'fastify';

/** The key of `Authorization: Bearer KEY`; undefined without one. */
export function bearerKey({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
}
