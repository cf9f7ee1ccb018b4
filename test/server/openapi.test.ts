import type { FastifyInstance } from 'fastify';
import { describe, expect, it } from 'vitest';

import { documentOf, type OpenApiDocument, type OperationObject } from '../support/openapi.js';
import { testServer } from './harness.js';

const adminKey = 'wallaby-administers';
const apiKeys = [{ tenant: 'alice', key: 'sesame' }];

interface Described extends OperationObject {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** With a letter for each parameter. */
  readonly url: string;
}

/** A server with every route. */
async function everyRoute(keys: object = { adminKey, apiKeys }): Promise<FastifyInstance> {
  const { app } = await testServer(keys, {
    files: {} as never,
    fineTuning: {} as never,
    batches: {} as never,
  });
  return app;
}

function describedBy({ paths }: OpenApiDocument): Described[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      ...operation,
      method: method.toUpperCase() as Described['method'],
      url: path.replace(/\{\w+\}/g, 'x'),
    })),
  );
}

/** Every `$ref` of a document. */
function refsOf(document: OpenApiDocument): string[] {
  return [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].flatMap((match) => match[1] ?? []);
}

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 with every route', async () => {
    const { app } = await testServer();
    const document = await documentOf(app);
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/health',
      '/livez',
      '/metrics',
      '/readyz',
      '/v1/admin/engine',
      '/v1/admin/engine/events',
      '/v1/batch/completions',
      '/v1/chat/completions',
      '/v1/completions',
      '/v1/me',
      '/v1/models',
      '/v1/models/{id}',
      '/v1/prefixes',
      '/v1/prefixes/{name}',
      '/v1/prefixes/{name}/files/{file}',
      '/v1/prefixes/{name}/grants',
      '/v1/prefixes/{name}/grants/{tenant}',
      '/v1/prefixes/{name}/shares',
      '/v1/prefixes/{name}/shares/rollback',
    ]);
    expect(JSON.stringify(document)).not.toContain('isFile');
  });

  it('says of every operation what a client is generated from', async () => {
    const document = await documentOf(await everyRoute());
    const tags = document.tags.map(({ name }) => name);
    const operations = describedBy(document);
    expect(operations.length).toBeGreaterThan(30);
    for (const { method, url, operationId, summary, tags: own = [], responses } of operations) {
      const name = `${method} ${url}`;
      expect(operationId, name).toMatch(
        /^(create|list|retrieve|download|delete|cancel|revoke|rollback|set|get)[A-Z][A-Za-z]+$/,
      );
      expect(summary, name).toMatch(/^[A-Z]/);
      expect(own, name).toHaveLength(1);
      expect(tags, name).toEqual(expect.arrayContaining([...own]));
      const statuses = Object.keys(responses);
      expect(statuses.filter((status) => /^20\d$/.test(status)), name).not.toHaveLength(0); // prettier-ignore
      expect(statuses, name).toEqual(expect.arrayContaining(['4XX', '5XX']));
    }
    const ids = operations.map(({ operationId }) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
    expect(document.servers.map(({ url }) => url)).toEqual(['/']);
  });

  it.each([
    ['keys and an operator', { adminKey, apiKeys }],
    ['keys', { apiKeys }],
    ['neither', {}],
  ])('says which key an operation needs, where there are %s', async (_, keys) => {
    const app = await everyRoute(keys);
    const document = await documentOf(app);
    for (const { method, url, security = document.security } of describedBy(document)) {
      const wanted = security.flatMap((scheme) => Object.keys(scheme));
      expect(Object.keys(document.components.securitySchemes)).toEqual(expect.arrayContaining(wanted));
      const isLetIn = async (key?: string): Promise<boolean> => {
        const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
        const answer = await app.inject({ method, url, headers, payloadAsStream: true });
        answer.stream().destroy(); // a stream of events has no end
        return answer.statusCode !== 401;
      };
      const letIn = { none: await isLetIn(), tenant: await isLetIn('sesame'), operator: await isLetIn(adminKey) };
      const expected = {
        '': { none: true, tenant: true, operator: true },
        key: { none: false, tenant: true, operator: false },
        adminKey: { none: false, tenant: false, operator: true },
      };
      expect(letIn, `${method} ${url}`).toEqual(expected[wanted.join() as keyof typeof expected]);
    }
    expect(document.tags.some(({ name }) => name === 'admin')).toBe('adminKey' in keys || !('apiKeys' in keys));
  });

  it('has each named schema once, and uses it', async () => {
    const document = await documentOf(await everyRoute());
    const used = new Set(refsOf(document));
    const named = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...used].sort()).toEqual(named.sort());
    expect(named).toContain('#/components/schemas/Error');
  });

  it('has the content types of answers', async () => {
    const { paths, components } = await documentOf(await everyRoute());
    const contentOf = (path: string, method: string) => paths[path]?.[method]?.responses['200']?.content ?? {};
    for (const path of ['/v1/completions', '/v1/batch/completions', '/v1/chat/completions'])
      expect(Object.keys(contentOf(path, 'post'))).toEqual(['application/json', 'text/event-stream']);
    expect(Object.keys(contentOf('/metrics', 'get'))).toEqual(['text/plain']);
    const files = contentOf('/v1/prefixes/{name}/files/{file}', 'get');
    expect(files).toEqual({
      'application/json': { schema: { $ref: '#/components/schemas/AdapterConfig' } },
      'application/octet-stream': { schema: { type: 'string', format: 'binary' } },
    });
    expect(components.schemas['AdapterConfig']).toMatchObject({ type: 'object', additionalProperties: true });
  });

  it('says how an object of a query is written', async () => {
    const { paths } = await documentOf(await everyRoute());
    const metadata = paths['/v1/fine_tuning/jobs']?.['get']?.parameters?.find(({ name }) => name === 'metadata');
    expect(metadata).toMatchObject({ in: 'query', style: 'deepObject', explode: true });
  });
});

it('/docs is a page that loads nothing from elsewhere', async () => {
  const { app } = await testServer();
  const page = await app.inject({ url: '/docs' });
  expect(page.statusCode).toBe(200);
  expect(page.body).toContain('swagger-ui');
  expect(page.body).not.toMatch(/(src|href)="https?:/);
  expect(page.headers['content-security-policy']).toMatch(/^default-src 'self';(?!.*https?:)/);
  expect((await app.inject({ url: '/docs/static/swagger-ui-bundle.js' })).statusCode).toBe(200);
});
