import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';
import { Share } from './share-schema.js';

const Name = Type.String({
  minLength: 1,
  maxLength: 128,
  description: 'Segments of `A-Z a-z 0-9 . _ -` joined by `/`.',
});
/** A file part of a form. OpenAPI shows it as binary; the validator has a keyword of its own for it. */
const File = Type.Unsafe<Buffer>({ isFile: true });

const shareOfUpload =
  'Percent of the requests for the name that the version answers: 100, or 0 for one that is to be tried as `name@VERSION` first.';

/** Body of `POST /v1/prefixes` as a form: the files of an adapter. Form fields are strings. */
export const FileUpload = Type.Object(
  {
    name: Name,
    placement: Type.Optional(Type.Enum(['prefix', 'infix'])),
    force: Type.Optional(Type.Enum(['true', 'false'])),
    share: Type.Optional(Type.Enum(['0', '100'], { default: '100', description: shareOfUpload })),
    adapter_config: File,
    adapter_model: File,
    chat_template: Type.Optional(File),
  },
  { additionalProperties: false, title: 'PrefixFiles' },
);
export type FileUpload = Static<typeof FileUpload>;

/** Body of `POST /v1/prefixes` as JSON: a prefix made from a text. */
export const TextUpload = Type.Object(
  {
    name: Name,
    text: Type.String({ minLength: 1 }),
    share: Type.Optional(Type.Enum([0, 100], { default: 100, description: shareOfUpload })),
  },
  {
    additionalProperties: false,
    title: 'PrefixText',
    examples: [{ name: 'examples/greeting', text: 'Dear customer, thank you for your letter.' }],
  },
);
export type TextUpload = Static<typeof TextUpload>;

const version = {
  version: Type.String({ description: 'Hex sha256 of the content.' }),
  kind: Type.Enum(['prefix', 'soft_prompt', 'text']),
  placement: Type.Enum(['prefix', 'infix']),
  num_virtual_tokens: Type.Integer({ description: 'At the site that has most.' }),
  sites: Type.Optional(
    Type.Object(
      {
        encoder: Type.Optional(Type.Integer()),
        decoder: Type.Optional(Type.Integer()),
        cross: Type.Optional(Type.Integer()),
      },
      { description: "Virtual tokens at each site of an encoder-decoder's attention where there are any." },
    ),
  ),
  bytes: Type.Integer({ description: 'Of its keys and values, or embeddings before a source, in memory.' }),
  created: Type.Integer({ description: 'Unix seconds.' }),
  chat_template: Type.Optional(
    Type.Literal(true, { description: 'It has a chat template of its own: conversations are rendered with that.' }),
  ),
};
const PrefixVersion = Type.Object(version);
export type PrefixVersion = Static<typeof PrefixVersion>;

/** The id of a prefix in metrics, made by `adapterId`. */
export const AdapterId = Type.String({
  description:
    '16 hex digits, from tenant and name. Requests may say it as `model` instead of the name, and `/metrics` calls the prefix so: a gateway that reads both finds the replica that runs it.',
});

const prefix = {
  object: Type.Literal('prefix'),
  name: Type.String(),
  adapter_id: AdapterId,
  ...version,
  base_model: Type.String(),
  warnings: Type.Array(Type.String()),
};

/** A prefix in its current version. */
export const Prefix = Type.Object(prefix, { title: 'Prefix' });
export type Prefix = Static<typeof Prefix>;

/** A prefix and its versions. */
export const PrefixDetails = Type.Object(
  {
    ...prefix,
    versions: Type.Array(PrefixVersion, { description: 'Newest first.' }),
    shares: Type.Array(Share, { description: 'Which versions answer requests for the bare name.' }),
  },
  { title: 'PrefixDetails' },
);
export type PrefixDetails = Static<typeof PrefixDetails>;

export const PrefixList = Type.Object(
  {
    object: Type.Literal('list'),
    data: Type.Array(Prefix),
    first_id: nullable(Type.String()),
    last_id: nullable(Type.String({ description: 'The next page is `after` this name.' })),
    has_more: Type.Boolean(),
  },
  { title: 'PrefixList' },
);
export type PrefixList = Static<typeof PrefixList>;

/** Query of a list. Values stay strings, because nothing in this server is coerced. */
export const ListQuery = Type.Object(
  {
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|100)$', title: '1 to 100', default: '20' })),
    after: Type.Optional(Type.String({ description: 'A name: the page begins behind it.' })),
  },
  { additionalProperties: false },
);

/** Content of a downloaded `adapter_config.json`. */
export const AdapterConfig = Type.Object(
  {},
  { additionalProperties: true, title: 'AdapterConfig', description: 'As PEFT reads it.' },
);

export const PrefixParams = Type.Object({ name: Type.String() });
export const FileParams = Type.Object({
  name: Type.String(),
  file: Type.Enum(['adapter_config.json', 'adapter_model.safetensors', 'chat_template.jinja']),
});

export const DeletedPrefix = Type.Object(
  { id: Type.String(), object: Type.Literal('prefix'), deleted: Type.Literal(true) },
  { title: 'DeletedPrefix' },
);
