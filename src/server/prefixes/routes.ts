import { isUtf8 } from 'node:buffer';

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';

import { MAX_TEMPLATE_BYTES } from '../../prefix/adapter/format.js';
import { PrefixError, type PrefixErrorCode } from '../../prefix/errors.js';
import { type BaseModel, hasEncoder } from '../../prefix/kv.js';
import type { AdapterUpload, PrefixLibrary, TextUpload as StoredText } from '../../prefix/library.js';
import { parsePrefixReference } from '../../prefix/name.js';
import { encodePrompt, type PromptEncoder } from '../../tokenizer/token-encoder.js';
import type { TemplateSandbox } from '../../tokenizer/template-sandbox.js';
import { ApiError } from '../errors.js';
import type { TenantSemaphore } from '../http/body/tenant-semaphore.js';
import forms from '../http/body/forms.js';
import { callerOf } from '../http/plugins/tenant.js';
import { toQuota } from './quota.js';
import { toPrefix, toPrefixDetails, toPrefixList } from './response.js';
import { Bytes } from '../schema/bytes.js';
import { errorResponses } from '../schema/error.js';
import {
  AdapterConfig,
  DeletedPrefix,
  FileParams,
  FileUpload,
  ListQuery,
  Prefix,
  PrefixDetails,
  PrefixList,
  PrefixParams,
  TextUpload,
} from './schema.js';
import { sendFile } from '../http/send-file.js';

/** Parts of the program that the prefix routes use. */
export interface PrefixDeps {
  readonly library: Pick<PrefixLibrary, 'upload' | 'uploadText' | 'list' | 'get' | 'file' | 'delete'>;
  readonly tokenizer: PromptEncoder;
  readonly base: BaseModel;
  readonly maxUploadBytes: number;
  readonly formPermits: TenantSemaphore;
  /** Tries the chat templates that are uploaded. */
  readonly templates: Pick<TemplateSandbox, 'problemOf'>;
}

/** Files of a form: the adapter's two, and its chat template. */
const MAX_FILES = 3;
/** Size of a form beyond its large file: the config, the fields and the separators. */
const FORM_ROOM_BYTES = 2 ** 21;

const tags = ['prefixes'];
const uploadSchema = {
  operationId: 'createPrefix',
  summary: 'Upload a prefix',
  description:
    'The two files of an adapter and, if it has one, its chat template, as a form; or, for a model without an encoder, a text, as JSON. The same content under the same name is 200. ' +
    'Four forms of a tenant are read at a time; others wait.',
  tags,
  body: { content: { 'application/json': { schema: TextUpload }, 'multipart/form-data': { schema: FileUpload } } },
  response: { 200: Prefix, 201: Prefix, ...errorResponses },
};
const listSchema = {
  operationId: 'listPrefixes',
  summary: 'List prefixes',
  tags,
  querystring: ListQuery,
  response: { 200: PrefixList, ...errorResponses },
};
const getSchema = {
  operationId: 'retrievePrefix',
  summary: 'A prefix and its versions',
  tags,
  params: PrefixParams,
  response: { 200: PrefixDetails, ...errorResponses },
};
const fileAnswers = {
  description: 'The file: `adapter_config.json` is JSON, the others are bytes.',
  content: { 'application/json': { schema: AdapterConfig }, 'application/octet-stream': { schema: Bytes } },
};
const fileSchema = {
  operationId: 'downloadPrefixFile',
  summary: 'Download a file of an adapter',
  tags,
  params: FileParams,
  response: { 200: fileAnswers, ...errorResponses },
};
const deleteSchema = {
  operationId: 'deletePrefix',
  summary: 'Delete a prefix',
  description: 'New requests do not find it any more; running ones finish.',
  tags,
  params: PrefixParams,
  response: { 200: DeletedPrefix, ...errorResponses },
};

/** Routes of `/v1/prefixes`. */
const prefixRoutes: FastifyPluginAsyncTypebox<PrefixDeps> = async (app, deps) => {
  const { library, tokenizer, base, maxUploadBytes: maxFileBytes, formPermits: permits } = deps;
  const encode = (text: string): number[] => encodeText(text, tokenizer, base);
  await app.register(forms, { permits, maxFiles: MAX_FILES, maxFileBytes, roomBytes: FORM_ROOM_BYTES });
  app.addHook('preValidation', async (request) => {
    if (request.method === 'POST' && request.body === undefined) {
      throw new ApiError('unsupported_media_type', 'A prefix comes as multipart/form-data or application/json.');
    }
  });

  app.post('/prefixes', { schema: uploadSchema }, async (request, reply) => {
    // The content type has chosen one of the two schemas.
    const body = request.body as TextUpload | FileUpload;
    const { tenant, limits } = callerOf(request);
    if ('chat_template' in body) await checkTemplate(body.chat_template, tenant, deps);
    const { created, record } = await ('text' in body
      ? library.uploadText(tenant, toTextUpload(body, encode), toQuota(limits))
      : library.upload(tenant, toAdapterUpload(body), toQuota(limits)));
    return reply.code(created ? 201 : 200).send(toPrefix(record, tenant));
  });

  app.get('/prefixes', { schema: listSchema }, async ({ tenant, query }) =>
    toPrefixList(await library.list(tenant, { after: query.after, limit: Number(query.limit ?? 20) }), tenant),
  );

  app.get('/prefixes/:name', { schema: getSchema }, async ({ tenant, params }) => {
    const { name, version } = parsePrefixReference(params.name);
    return toPrefixDetails(await library.get(tenant, name, version), tenant);
  });

  app.get('/prefixes/:name/files/:file', { schema: fileSchema }, async ({ tenant, params }, reply) => {
    const { name, version } = parsePrefixReference(params.name);
    const file = await library.file(tenant, name, params.file, version);
    reply.header('content-disposition', `attachment; filename="${params.file}"`);
    return sendFile(
      reply,
      params.file === 'adapter_config.json' ? 'application/json' : 'application/octet-stream',
      file,
    );
  });

  app.delete('/prefixes/:name', { schema: deleteSchema }, async ({ tenant, params }) => {
    await library.delete(tenant, params.name);
    return { id: params.name, object: 'prefix' as const, deleted: true as const };
  });
};

export default prefixRoutes;

/** Tokenizes a text. Refuses a text longer than the context before tokenizing it, which would block the event loop. */
function encodeText(text: string, tokenizer: PromptEncoder, { contextLength }: BaseModel): number[] {
  const { textProblem } = tokenizer;
  if (textProblem !== undefined) throw new PrefixError('text_unsupported', `text: ${textProblem}`);
  const least = tokenizer.minTokens(text);
  if (least <= contextLength) return encodePrompt(tokenizer, text);
  throw new PrefixError('text_too_long', `text: at least ${least} tokens; the model's context is ${contextLength}`);
}

/** Refuses a template that could not render a conversation of one message, for another reason than the message. */
async function checkTemplate(
  bytes: Buffer | undefined,
  tenant: string,
  { base, templates }: Pick<PrefixDeps, 'base' | 'templates'>,
): Promise<void> {
  if (bytes === undefined) return;
  const refuse = (code: PrefixErrorCode, problem: string): never => {
    throw new PrefixError(code, `chat_template: ${problem}`);
  };
  if (hasEncoder(base)) refuse('chat_template_unsupported', `${base.id} completes no conversations`);
  if (bytes.length > MAX_TEMPLATE_BYTES)
    refuse('chat_template_too_large', `${bytes.length} bytes; at most ${MAX_TEMPLATE_BYTES} are accepted`);
  if (!isUtf8(bytes)) refuse('chat_template_invalid', 'is not UTF-8');
  const problem = await templates.problemOf(bytes.toString(), tenant);
  if (problem !== undefined) refuse('chat_template_invalid', problem);
}

function toTextUpload({ name, text, share }: TextUpload, encode: (text: string) => number[]): StoredText {
  return { name, text, tokens: encode(text), standby: share === 0 };
}

function toAdapterUpload({ name, placement, force, share, ...files }: FileUpload): AdapterUpload {
  const { adapter_config: config, adapter_model: model, chat_template: template } = files;
  return { name, placement, force: force === 'true', standby: share === '0', config, model, template };
}
