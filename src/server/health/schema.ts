import { Type } from 'typebox';

/** `GET /livez`. */
export const Alive = Type.Object({ status: Type.Literal('ok') });

/** `GET /readyz`: 200 also when a part is away, because the rest is served. */
export const Readiness = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('degraded')]),
  degraded: Type.Optional(
    Type.Array(Type.Literal('store'), { description: 'What does not answer: prefixes in memory are served.' }),
  ),
});
