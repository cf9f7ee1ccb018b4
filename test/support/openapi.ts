import type { FastifyInstance } from 'fastify';

interface Schema {
  readonly examples?: readonly object[];
  readonly example?: object;
}

interface Content {
  readonly schema?: Schema;
  readonly example?: object;
  readonly examples?: Readonly<Record<string, { readonly value: object }>>;
}

/** One method of one path of a server's `/openapi.json`. */
export interface Operation {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  /** Content types of its body; none if it takes none. */
  readonly bodies: Readonly<Record<string, readonly object[]>>;
}

/** Every operation that a server describes, with the examples of its bodies. */
export async function operationsOf(app: FastifyInstance): Promise<Operation[]> {
  const document = (await app.inject({ url: '/openapi.json' })).json<{
    paths: Record<string, Record<string, { requestBody?: { content: Record<string, Content> } }>>;
  }>();
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, content]) => [type, examplesOf(content)]),
      ),
    })),
  );
}

function examplesOf({ schema = {}, example, examples = {} }: Content): object[] {
  const named = Object.values(examples).map(({ value }) => value);
  return [...(schema.examples ?? []), schema.example, example, ...named].filter((one) => one !== undefined);
}
