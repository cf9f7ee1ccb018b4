import { Type, type Static } from 'typebox';

import { nullable } from '../../lib/schema/optional.js';
import { AdapterId } from '../prefixes/schema.js';

/** The base model, or a prefix with the base model as its parent. */
export const Model = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    created: Type.Integer(),
    owned_by: Type.String(),
    parent: nullable(Type.String()),
    adapter_id: nullable(AdapterId),
  },
  { title: 'Model' },
);
export type Model = Static<typeof Model>;

export const ModelList = Type.Object({ object: Type.Literal('list'), data: Type.Array(Model) }, { title: 'ModelList' });

export const DeletedModel = Type.Object(
  { id: Type.String(), object: Type.Literal('model'), deleted: Type.Literal(true) },
  { title: 'DeletedModel' },
);

export const ModelParams = Type.Object({ id: Type.String() });
