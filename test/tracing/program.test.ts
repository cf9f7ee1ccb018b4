import { expect, test, vi } from 'vitest';

import { send } from '../support/http.js';
import { addressOf, exitStatus, startProgram, testModelCache, type Running } from '../support/program.js';
import { collector } from './collector.js';

const PROMPT = 'words that nobody may see';

/** Makes the program say at its end which of OpenTelemetry's packages it has loaded. */
const REPORT = `--import=data:text/javascript,${encodeURIComponent(`
  import { Module } from 'node:module';
  process.on('exit', () => {
    const packages = Object.keys(Module._cache).map((path) => /@opentelemetry\\/([^/]+)/.exec(path)?.[1]);
    console.log('loaded ' + JSON.stringify([...new Set(packages)].filter(Boolean)));
  });`)}`;

const start = (settings: Record<string, string>): Promise<Running> =>
  startProgram({ PREAMBLE_CACHE: testModelCache, NODE_OPTIONS: REPORT, ...settings });

async function complete(running: Running): Promise<number> {
  const body = { prompt: PROMPT, model: 'preamble-demo', max_tokens: 2 };
  return (await send(await addressOf(running), { method: 'POST', path: '/v1/completions', body })).status;
}

/** Ends the program as an operator does. */
async function stop(running: Running): Promise<string[]> {
  running.process.kill('SIGTERM');
  expect(await exitStatus(running)).toBe(0);
  return JSON.parse(/loaded (.*)/.exec(running.output.out)?.[1] ?? '') as string[];
}

test('without an endpoint nothing is traced, and the SDK is not loaded', async () => {
  const running = await start({});
  expect(await complete(running)).toBe(200);
  // prom-client loads it, whoever uses it.
  expect(await stop(running)).toEqual(['api']);
});

test('the standard variables say where and how, and what is left is sent at the end', async () => {
  const collected = await collector();
  const running = await start({
    OTEL_EXPORTER_OTLP_ENDPOINT: collected.url,
    OTEL_EXPORTER_OTLP_HEADERS: 'x-token=abc',
    OTEL_SERVICE_NAME: 'my-service',
    OTEL_BSP_SCHEDULE_DELAY: '600000',
  });
  expect(await complete(running)).toBe(200);
  expect(await stop(running)).toContain('sdk-trace-base');
  const [{ path, headers, body }, ...others] = collected.exports as [(typeof collected.exports)[0]];
  expect(others).toEqual([]);
  expect(path).toBe('/v1/traces');
  expect(headers).toMatchObject({ 'content-type': 'application/x-protobuf', 'x-token': 'abc' });
  expect(body.toString('latin1')).toContain('my-service');
  expect(body.toString('latin1')).toContain('POST /v1/completions');
  expect(body.toString('latin1')).not.toContain(PROMPT);
});

test('an endpoint that is dead hurts no request, is told once, and does not hold up the end', async () => {
  const running = await start({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:9/v1/traces',
    OTEL_EXPORTER_OTLP_TIMEOUT: '100',
    OTEL_BSP_SCHEDULE_DELAY: '10',
  });
  expect(await complete(running)).toBe(200);
  await vi.waitFor(() => expect(running.output.err).toContain('traces could not be sent'), 5000);
  for (let i = 0; i < 5; i++) expect(await complete(running)).toBe(200);
  await stop(running);
  expect(running.output.err.match(/could not be sent/g)).toHaveLength(1);
  expect(running.output.err).not.toContain(PROMPT);
});
