import { Type } from 'typebox';

/** Query of a list: newest first, page by page. Values of a query stay strings. */
export const PageQuery = Type.Object(
  {
    limit: Type.Optional(Type.String({ pattern: '^([1-9][0-9]?|100)$', title: '1 to 100', default: '20' })),
    after: Type.Optional(Type.String({ description: 'An id: the page begins behind it.' })),
  },
  { additionalProperties: false },
);
