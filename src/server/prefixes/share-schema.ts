import { Type, type Static } from 'typebox';

/** Body of `PUT /v1/prefixes/{name}/shares`. */
export const NewShares = Type.Object(
  {
    shares: Type.Array(
      Type.Object(
        {
          version: Type.String({
            pattern: '^[0-9a-f]{12,64}$',
            title: '12 to 64 hex digits',
            description: 'The first digits of a version of the prefix.',
          }),
          percent: Type.Integer({ minimum: 0, maximum: 100 }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 100, description: '100 percent together. A version that is left out answers nothing.' },
    ),
  },
  {
    additionalProperties: false,
    title: 'NewPrefixShares',
    examples: [{ shares: [{ version: '0123456789ab', percent: 100 }] }],
  },
);
export type NewShares = Static<typeof NewShares>;

/** The part of a name's requests that one version answers. */
export const Share = Type.Object(
  {
    version: Type.String(),
    percent: Type.Integer({ minimum: 1, maximum: 100 }),
    version_id: Type.String({ description: '16 hex digits: what `/metrics` calls the version.' }),
  },
  { title: 'PrefixShare' },
);
export type Share = Static<typeof Share>;
