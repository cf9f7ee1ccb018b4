import { Type } from 'typebox';

/** Answer of `GET /livez`. */
export const Alive = Type.Object({ status: Type.Literal('ok') });

/** Answer of `GET /readyz`. The status is 200 also when the store is away or takes no writes, because the rest is served. */
export const Readiness = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
  degraded: Type.Optional(
    Type.Array(Type.Literal('store'), {
      description: 'What does not answer or takes no writes: prefixes in memory are served.',
    }),
  ),
});
