import { Type, type Static, type TSchema } from 'typebox';

import { MAX_WEIGHT } from '../../tenancy/limits.js';
import { nullable } from '../../lib/schema/optional.js';
import { ListQuery } from '../prefixes/schema.js';

const TenantName = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$',
  title: '1 to 64 of A-Z a-z 0-9 . _ -, beginning with a letter or digit',
});
const Weight = Type.Number({ exclusiveMinimum: 0, maximum: MAX_WEIGHT });
const Share = Type.Number({ exclusiveMinimum: 0, maximum: 1 });
const Count = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });

/** A limit in a request: a value, or 'default'. */
function change<T extends TSchema>(limit: T, description: string, title: string) {
  return Type.Optional(Type.Union([limit, Type.Literal('default')], { description, title: `${title}, or 'default'` }));
}

function countChange(description: string) {
  return change(Type.Union([Count, Type.Null()]), description, 'an integer from 0, null for no limit');
}

/** Body of `POST /v1/admin/tenants/{tenant}`. Limits that are left out stay as they are. */
export const TenantChanges = Type.Object(
  {
    weight: change(
      Weight,
      'Part of the machine, relative to other tenants.',
      `a number above 0 and at most ${MAX_WEIGHT}`,
    ),
    requests_per_minute: countChange('Null: no limit. 0: nothing passes.'),
    tokens_per_minute: countChange('Prompt and generated tokens. Null: no limit.'),
    max_prefixes: countChange('Null: no limit.'),
    max_prefix_bytes: countChange('Bytes of all versions of all prefixes. Null: no limit.'),
    queue_share: change(
      Type.Union([Share, Type.Null()]),
      'Part of the waiting queue that the tenant may fill. Null: all of it.',
      'a number above 0 and at most 1, null for no limit',
    ),
  },
  {
    additionalProperties: false,
    title: 'TenantChanges',
    description: "'default' returns a limit to the server's default.",
    examples: [{ weight: 2, requests_per_minute: 600, tokens_per_minute: 100_000, max_prefixes: 20 }],
  },
);
export type TenantChanges = Static<typeof TenantChanges>;

const limits = {
  weight: Type.Number(),
  requests_per_minute: nullable(Type.Integer()),
  tokens_per_minute: nullable(Type.Integer()),
  max_prefixes: nullable(Type.Integer()),
  max_prefix_bytes: nullable(Type.Integer()),
  queue_share: nullable(Type.Number()),
};

/** A tenant and its limits. */
export const Tenant = Type.Object(
  {
    object: Type.Literal('tenant'),
    tenant: Type.String(),
    created: nullable(Type.Integer({ description: 'Unix seconds; null when only the settings know the tenant.' })),
    static: Type.Boolean({ description: 'Whether PREAMBLE_API_KEYS has keys of it.' }),
    ...limits,
    inherited: Type.Array(Type.String(), { description: "Which limits are the server's defaults." }),
  },
  { title: 'Tenant' },
);
export type Tenant = Static<typeof Tenant>;

/** Body of `POST /v1/admin/keys`. */
export const NewKey = Type.Object(
  { tenant: TenantName, label: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })) },
  { additionalProperties: false, title: 'NewKey', examples: [{ tenant: 'alice', label: 'laptop' }] },
);
export type NewKey = Static<typeof NewKey>;

const key = {
  object: Type.Literal('key'),
  id: Type.String(),
  tenant: Type.String(),
  label: nullable(Type.String()),
  last4: nullable(Type.String({ description: 'The last characters of the key.' })),
  created: nullable(Type.Integer({ description: 'Unix seconds; null for a key from the settings.' })),
  static: Type.Boolean({ description: 'Whether it is in PREAMBLE_API_KEYS, and cannot be revoked here.' }),
};
/** A key, without its secret. */
export const Key = Type.Object(key, { title: 'Key' });
export type Key = Static<typeof Key>;

/** A new key, with its secret. */
export const IssuedKey = Type.Object(
  { ...key, key: Type.String({ description: 'What the customer sends. It is shown here and never again.' }) },
  { title: 'IssuedKey' },
);
export type IssuedKey = Static<typeof IssuedKey>;

function listOf<T extends TSchema>(item: T, title: string) {
  return Type.Object(
    {
      object: Type.Literal('list'),
      data: Type.Array(item),
      first_id: nullable(Type.String()),
      last_id: nullable(Type.String({ description: 'The next page is `after` this one.' })),
      has_more: Type.Boolean(),
    },
    { title },
  );
}

export const TenantList = listOf(Tenant, 'TenantList');
export type TenantList = Static<typeof TenantList>;
export const KeyList = listOf(Key, 'KeyList');
export type KeyList = Static<typeof KeyList>;

export const TenantParams = Type.Object({ tenant: TenantName });
export const KeyParams = Type.Object({ id: Type.String() });
export const TenantQuery = ListQuery;
export const KeyQuery = Type.Object(
  { ...ListQuery.properties, tenant: Type.Optional(TenantName) },
  { additionalProperties: false },
);
export const DeleteTenantQuery = Type.Object(
  {
    prefixes: Type.Optional(
      Type.Enum(['true', 'false'], {
        default: 'false',
        description:
          'Whether its prefixes for the base model that is served, its files and its fine-tuning jobs are deleted too.',
      }),
    ),
  },
  { additionalProperties: false },
);

export const DeletedTenant = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('tenant'),
    deleted: Type.Literal(true),
    prefixes_deleted: Type.Integer(),
  },
  { title: 'DeletedTenant' },
);
export const RevokedKey = Type.Object(
  { id: Type.String(), object: Type.Literal('key'), deleted: Type.Literal(true) },
  { title: 'RevokedKey' },
);
