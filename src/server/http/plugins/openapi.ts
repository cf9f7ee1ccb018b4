import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';

import { nameSchemas } from '../named-schemas.js';

/**
 * Content security policy of the page. Everything comes from this server, over plain HTTP too, so the page works
 * offline. No other page may frame it, which could make its visitors press its buttons.
 */
const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'";

/** What the tags of operations stand for. */
const TAGS = {
  completions: 'Completing prompts.',
  account: 'Whose key it is.',
  models: 'The base model and the prefixes of the caller, as models.',
  prefixes: 'The prefixes of the caller.',
  files: 'Files of the caller.',
  'fine-tuning': 'Jobs that train a prefix.',
  batches: 'Files of requests that are done when there is room.',
  admin: "The operator's: tenants, keys, and what the engine does.",
  health: 'For probes and Prometheus.',
};

/** Content of the OpenAPI document that is not in the routes. */
interface OpenApiOptions {
  readonly version: string;
  /** Whether tenants have keys. */
  readonly needsKey: boolean;
  /** Whether the operator has a key. */
  readonly hasAdmin: boolean;
}

/** Serves `/openapi.json` and Swagger UI at `/docs`. Register it before the routes that it describes. */
export default fp<OpenApiOptions>(
  async (app, { version, needsKey, hasAdmin }) => {
    const tags = Object.entries(TAGS).map(([name, description]) => ({ name, description }));
    const adminKey = { type: 'http', scheme: 'bearer', description: "The operator's key." } as const;
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: {
          title: 'Preamble',
          version,
          description: 'One frozen model; each user has prefixes of their own.',
          license: { name: 'Apache-2.0', url: 'https://www.apache.org/licenses/LICENSE-2.0' },
        },
        servers: [{ url: '/', description: 'The server that this document is from.' }],
        tags: tags.filter(({ name }) => hasAdmin || !needsKey || name !== 'admin'),
        components: {
          securitySchemes: {
            key: { type: 'http', scheme: 'bearer', description: "A tenant's key." },
            ...(hasAdmin && { adminKey }),
          },
        },
        // Without keys of tenants, a key that is sent has no effect.
        security: needsKey ? [{ key: [] }] : [{}],
      },
      transform: ({ schema, url }) => ({ schema: showFiles(schema), url }),
      transformObject: (document) => ('openapiObject' in document ? finish(document.openapiObject) : {}),
    });
    await app.register(swaggerUi, { routePrefix: '/docs', staticCSP: PAGE_POLICY, uiConfig: { validatorUrl: null } });
    app.get('/openapi.json', { schema: { hide: true } }, () => app.swagger());
  },
  { name: 'openapi', fastify: '5.x' },
);

/** Replaces the validator's keyword for a file part by OpenAPI's notation. */
function showFiles<T>(schema: T): T {
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(showFiles) as T;
  if ('isFile' in schema) return { type: 'string', format: 'binary' } as T;
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, showFiles(value as unknown)])) as T;
}

/** Says of each parameter of a query that is an object how it is written: `NAME[KEY]=VALUE`. */
function showDeepObjects<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(showDeepObjects) as T;
  const copy = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, showDeepObjects(part as unknown)]));
  const { in: place, schema } = copy as { in?: unknown; schema?: { type?: unknown } };
  const isObject = [schema?.type].flat().includes('object');
  return (place === 'query' && isObject ? { ...copy, style: 'deepObject', explode: true } : copy) as T;
}

/** The document with its named schemas in `components`. */
function finish<T extends { readonly paths?: object; readonly components?: object }>(document: T): T {
  const { paths, schemas } = nameSchemas(showDeepObjects(document.paths));
  return { ...document, paths, components: { ...document.components, schemas } };
}
