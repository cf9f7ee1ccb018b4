import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import type { Files } from '../../files/files.js';
import { ApiError } from '../errors.js';
import type { TenantSemaphore } from '../http/body/tenant-semaphore.js';
import forms from '../http/body/forms.js';
import { Bytes } from '../schema/bytes.js';
import { errorResponses } from '../schema/error.js';
import { toFile, toFileList } from './response.js';
import { DeletedFile, FileForm, FileList, FileObject, FileQuery, StoredFileParams } from './schema.js';
import { sendFile } from '../http/send-file.js';

/** Parts of the program that the file routes use. */
export interface FileDeps {
  readonly files: Pick<Files, 'add' | 'get' | 'content' | 'list' | 'delete'>;
  /** Size of one file of purpose `fine-tune`. */
  readonly maxTrainingFileBytes: number;
  /** Size of one file of purpose `batch`. */
  readonly maxBatchFileBytes: number;
  readonly formPermits: TenantSemaphore;
}

/** Size of a form beyond its file: the fields and the separators. */
const FORM_ROOM_BYTES = 2 ** 16;

const tags = ['files'];
const params = StoredFileParams;
const createSchema = {
  operationId: 'createFile',
  summary: 'Upload training data, or the requests of a batch',
  tags,
  body: { content: { 'multipart/form-data': { schema: FileForm } } },
  response: { 200: FileObject, ...errorResponses },
};
const listSchema = {
  operationId: 'listFiles',
  summary: 'List files',
  tags,
  querystring: FileQuery,
  response: { 200: FileList, ...errorResponses },
};
const getSchema = {
  operationId: 'retrieveFile',
  summary: 'A file',
  tags,
  params,
  response: { 200: FileObject, ...errorResponses },
};
const contentSchema = {
  operationId: 'downloadFile',
  summary: 'Download a file',
  tags,
  params,
  response: {
    200: { description: 'The bytes of the file.', content: { 'application/octet-stream': { schema: Bytes } } },
    ...errorResponses,
  },
};
const deleteSchema = {
  operationId: 'deleteFile',
  summary: 'Delete a file',
  description: 'A job or batch that is queued with it fails; one that runs has its own copy.',
  tags,
  params,
  response: { 200: DeletedFile, ...errorResponses },
};

/** Routes of `/v1/files`: training data and the curves of jobs, requests of batches and their answers. */
const fileRoutes: FastifyPluginAsyncTypebox<FileDeps> = async (app, deps) => {
  const { files, maxTrainingFileBytes, maxBatchFileBytes, formPermits: permits } = deps;
  const maxFileBytes = Math.max(maxTrainingFileBytes, maxBatchFileBytes);
  const mostBytes = { 'fine-tune': maxTrainingFileBytes, batch: maxBatchFileBytes };
  await app.register(forms, { permits, maxFiles: 1, maxFileBytes, roomBytes: FORM_ROOM_BYTES });
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST' && !request.isMultipart())
      throw new ApiError('unsupported_media_type', 'A file comes as multipart/form-data.');
    refuseExpiry(request.body);
  });

  app.post('/files', { schema: createSchema }, async ({ tenant, body }) => {
    const { file, purpose } = body as FileForm;
    if (file.byteLength > mostBytes[purpose]) refuseSize(purpose, mostBytes[purpose]);
    return toFile(await files.add(tenant, file.filename, purpose, file));
  });

  app.get('/files', { schema: listSchema }, async ({ tenant, query: { limit, ...options } }) =>
    toFileList(await files.list(tenant, { ...options, limit: Number(limit ?? 20) })),
  );

  app.get('/files/:file_id', { schema: getSchema }, async ({ tenant, params: { file_id } }) =>
    toFile(await files.get(tenant, file_id)),
  );

  app.get('/files/:file_id/content', { schema: contentSchema }, async ({ tenant, params: { file_id } }, reply) =>
    sendFile(reply, 'application/octet-stream', await files.content(tenant, file_id)),
  );

  app.delete('/files/:file_id', { schema: deleteSchema }, async ({ tenant, params: { file_id: id } }) => {
    await files.delete(tenant, id);
    return { id, object: 'file' as const, deleted: true as const };
  });
};

export default fileRoutes;

function refuseSize(purpose: string, maxBytes: number): never {
  const message = `'file' is larger than ${maxBytes} bytes, the limit of a file of purpose ${purpose}.`;
  throw new ApiError('request_too_large', message, { param: 'file' });
}

/** Refuses OpenAI's field for files that vanish by themselves, which is written as `expires_after[anchor]` and `expires_after[seconds]`. */
function refuseExpiry(form: unknown): void {
  const param = 'expires_after';
  if (!Object.keys(form ?? {}).some((field) => field.split('[')[0] === param)) return;
  const message = `'${param}' is not supported: leave it out. A file stays until \`DELETE /v1/files/{file_id}\`.`;
  throw new ApiError('unsupported_parameter', message, { param });
}
