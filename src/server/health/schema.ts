import { Type } from 'typebox';

/** Answer of `GET /livez`. */
export const Alive = Type.Object({ status: Type.Literal('ok') }, { title: 'Liveness' });

/** Answer of `GET /readyz` and `GET /health`. The status is 200 also when the store is away or takes no writes, because the rest is served. */
export const Readiness = Type.Object(
  {
    status: Type.Enum(['ok', 'degraded']),
    degraded: Type.Optional(
      Type.Array(Type.Literal('store'), {
        description: 'What does not answer or takes no writes: prefixes in memory are served.',
      }),
    ),
  },
  { title: 'Readiness' },
);
