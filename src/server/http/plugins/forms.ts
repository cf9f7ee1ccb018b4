import multipart from '@fastify/multipart';
import fp from 'fastify-plugin';

import type { FormTurns } from '../form-turns.js';
import { readForm } from '../../prefixes/form.js';

/** Limits on forms. */
export interface FormOptions {
  readonly turns: FormTurns;
  /** Most files in a form. */
  readonly maxFiles: number;
  /** Size of one file. */
  readonly maxFileBytes: number;
  /** Size of a form beyond its large file. */
  readonly roomBytes: number;
}

/** Reads the forms of its scope, each when its tenant's turn comes. Until then the body stays unread. */
export default fp<FormOptions>(
  async (app, { turns, maxFiles, maxFileBytes, roomBytes }) => {
    await app.register(multipart, { limits: { fileSize: maxFileBytes, files: maxFiles, fields: 8, fieldSize: 4096 } });
    app.addHook('preValidation', async (request, reply) => {
      if (!request.isMultipart()) return;
      await turns.take(request.tenant, reply.raw);
      request.body = await readForm(request, maxFileBytes + roomBytes);
    });
  },
  { name: 'forms', fastify: '5.x', dependencies: ['auth'] },
);
