import { Type, type Static } from 'typebox';

export const GrantParams = Type.Object({ name: Type.String(), tenant: Type.String() });

/** Leave for another tenant to use a prefix. */
export const Grant = Type.Object(
  {
    object: Type.Literal('prefix.grant'),
    name: Type.String(),
    tenant: Type.String(),
    model: Type.String({ description: 'What the other tenant says as `model`: `owner:name`.' }),
  },
  { title: 'PrefixGrant' },
);
export type Grant = Static<typeof Grant>;

export const GrantList = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(Grant) },
  { title: 'PrefixGrantList' },
);

export const DeletedGrant = Type.Object(
  {
    object: Type.Literal('prefix.grant'),
    name: Type.String(),
    tenant: Type.String(),
    deleted: Type.Literal(true),
  },
  { title: 'DeletedPrefixGrant' },
);
