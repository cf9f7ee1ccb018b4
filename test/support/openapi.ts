import type { FastifyInstance } from 'fastify';

/** A schema of a document, or where in the document it is. */
interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly examples?: readonly object[];
  readonly example?: object;
}

interface Content {
  readonly schema?: Schema;
  readonly example?: object;
  readonly examples?: Readonly<Record<string, { readonly value: object }>>;
}

type Security = readonly Readonly<Record<string, readonly string[]>>[];

/** One method of one path, as a document describes it. */
export interface OperationObject {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: readonly string[];
  readonly security?: Security;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly style?: string }[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Content>> }>>;
}

/** What a server's `/openapi.json` has. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly servers: readonly { readonly url: string }[];
  readonly tags: readonly { readonly name: string }[];
  readonly security: Security;
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly securitySchemes: Readonly<Record<string, object>>;
  };
}

/** One method of one path of a server's `/openapi.json`. */
export interface Operation {
  readonly method: string;
  /** With its parameters in braces. */
  readonly path: string;
  /** Content types of its body; none if it takes none. */
  readonly bodies: Readonly<Record<string, readonly object[]>>;
}

/** A server's document. */
export async function documentOf(app: FastifyInstance): Promise<OpenApiDocument> {
  return (await app.inject({ url: '/openapi.json' })).json<OpenApiDocument>();
}

/** Every operation that a server describes, with the examples of its bodies. */
export async function operationsOf(app: FastifyInstance): Promise<Operation[]> {
  const { paths, components } = await documentOf(app);
  const examplesOf = ({ schema = {}, example, examples = {} }: Content): object[] => {
    const named = Object.values(examples).map(({ value }) => value);
    const { examples: own = [], example: one } = components.schemas[schema.$ref?.split('/').at(-1) ?? ''] ?? schema;
    return [...own, one, example, ...named].filter((each) => each !== undefined);
  };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, { requestBody }]) => ({
      method: method.toUpperCase(),
      path,
      bodies: Object.fromEntries(
        Object.entries(requestBody?.content ?? {}).map(([type, content]) => [type, examplesOf(content)]),
      ),
    })),
  );
}
