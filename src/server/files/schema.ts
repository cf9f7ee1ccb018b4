import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';
import { PageQuery } from '../schema/page-query.js';

/** Body of `POST /v1/files`. Form fields are strings. */
export const FileForm = Type.Object(
  {
    purpose: Type.Enum(['fine-tune', 'batch']),
    file: Type.Unsafe<Buffer & { readonly filename: string }>({
      isFile: true,
      description:
        'To train on, lines of `{"prompt", "completion"}`, each a string or an array of token ids. For a batch, lines of `{"custom_id", "method", "url", "body"}`.',
    }),
  },
  { additionalProperties: false, title: 'FileForm' },
);
export type FileForm = Static<typeof FileForm>;

export const FileObject = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('file'),
    bytes: Type.Integer(),
    created_at: Type.Integer({ description: 'Unix seconds.' }),
    filename: Type.String(),
    purpose: Type.Enum(['fine-tune', 'fine-tune-results', 'batch', 'batch_output']),
    status: Type.Literal('processed'),
  },
  { title: 'File' },
);
export type FileObject = Static<typeof FileObject>;

export const FileList = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(FileObject, { description: 'Newest first.' }),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String({ description: 'The next page is `after` this one.' })),
    has_more: Type.Boolean(),
  },
  { title: 'FileList' },
);
export type FileList = Static<typeof FileList>;

/** Query of a list of files. */
export const FileQuery = Type.Object(
  {
    ...PageQuery.properties,
    purpose: Type.Optional(FileObject.properties.purpose),
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]{0,3}|10000)$', title: '1 to 10000', default: '20' })),
    order: Type.Optional(Type.Enum(['asc', 'desc'], { default: 'desc', description: 'By the time of their upload.' })),
  },
  { additionalProperties: false },
);

export const StoredFileParams = Type.Object({ file_id: Type.String() });

export const DeletedFile = Type.Object(
  { id: Type.String(), object: Type.Literal('file'), deleted: Type.Literal(true) },
  { title: 'DeletedFile' },
);
