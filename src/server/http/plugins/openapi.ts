import swagger from '@fastify/swagger';
import swaggerUi from '@fastify/swagger-ui';
import fp from 'fastify-plugin';

/**
 * Content security policy of the page. Everything comes from this server, over plain HTTP too, so the page works
 * offline. No other page may frame it, which could make its visitors press its buttons.
 */
const PAGE_POLICY =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; frame-ancestors 'none'";

/** Content of the OpenAPI document that is not in the routes. */
interface OpenApiOptions {
  readonly version: string;
  readonly needsKey: boolean;
}

/** Serves `/openapi.json` and Swagger UI at `/docs`. Register it before the routes that it describes. */
export default fp<OpenApiOptions>(
  async (app, { version, needsKey }) => {
    await app.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'Preamble', version, description: 'One frozen model; each user has prefixes of their own.' },
        components: { securitySchemes: { key: { type: 'http', scheme: 'bearer' } } },
        ...(needsKey && { security: [{ key: [] }] }),
      },
      transform: ({ schema, url }) => ({ schema: showFiles(schema), url }),
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
