import multipart from '@fastify/multipart';
import fp from 'fastify-plugin';

import type { FormTurns } from '../form-turns.js';
import { readForm } from '../../prefixes/form.js';

export interface FormOptions {
  readonly turns: FormTurns;
  /** Of one form. */
  readonly maxFiles: number;
  /** Of one file. */
  readonly maxFileBytes: number;
  /** Room in a form for what is in no large file. */
  readonly roomBytes: number;
}

/** Reads the forms of its scope, each when it is its tenant's turn; what waits is left with its sender. */
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
