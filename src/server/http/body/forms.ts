import multipart from '@fastify/multipart';
import fp from 'fastify-plugin';

import type { TenantSemaphore } from './tenant-semaphore.js';
import { readForm } from './read-form.js';

/** Forms of one tenant that may be in memory at the same time. */
export const MAX_FORMS = 4;
/** Of those with a file, which may be a batch's of 200 MiB. */
export const MAX_FILE_FORMS = 1;

/** Limits on forms. */
interface FormOptions {
  /** Shared by all scopes that read forms. */
  readonly permits: TenantSemaphore;
  /** Most files in a form. */
  readonly maxFiles: number;
  /** Size of one file. */
  readonly maxFileBytes: number;
  /** Size of a form beyond its large file. */
  readonly roomBytes: number;
}

/** Reads the forms of its scope, each when its tenant has a permit. Until then the body stays unread. */
export default fp<FormOptions>(
  async (app, { permits, maxFiles, maxFileBytes, roomBytes }) => {
    await app.register(multipart, { limits: { fileSize: maxFileBytes, files: maxFiles, fields: 8, fieldSize: 4096 } });
    app.addHook('preValidation', async (request, reply) => {
      if (!request.isMultipart()) return;
      await permits.acquire(request.tenant, reply.raw);
      request.body = await readForm(request, maxFileBytes + roomBytes);
    });
  },
  { name: 'forms', fastify: '5.x', dependencies: ['auth'] },
);
