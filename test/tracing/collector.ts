import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';

import { expect, onTestFinished, vi } from 'vitest';

type Value = { stringValue?: string; intValue?: number; arrayValue?: { values: Value[] } };

interface Attribute {
  readonly key: string;
  readonly value: Value;
}

/** A span as OTLP's JSON has it. */
export interface ExportedSpan {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly name: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
  readonly events: readonly { readonly name: string; readonly timeUnixNano: string }[];
  readonly status: { readonly code: number };
}

interface Export {
  readonly path: string | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** Receives OTLP over HTTP, as a collector does. */
export interface Collector {
  readonly url: string;
  readonly exports: readonly Export[];
  /** Spans that came as JSON. */
  spans(): ExportedSpan[];
  /** Waits until as many requests as asked for are there with all their spans; they are sent when they end. */
  requests(count: number): Promise<ExportedSpan[]>;
}

/** A collector on a free port, closed when the test is over. */
export async function collector(): Promise<Collector> {
  const exports: Export[] = [];
  const server = createServer((request, response) => {
    void buffer(request).then((body) => {
      exports.push({ path: request.url, headers: request.headers, body });
      response.end();
    });
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const spans = (): ExportedSpan[] => exports.flatMap(({ body }) => spansOf(body));
  const requests = async (count: number): Promise<ExportedSpan[]> => {
    const found = (): ExportedSpan[] => spans().filter(({ kind }) => kind === SERVER);
    await vi.waitFor(() => expect(found()).toHaveLength(count), 5000);
    return found();
  };
  return { url, exports, spans, requests };
}

/** OTLP's number for a server's span. */
const SERVER = 2;

function spansOf(body: Buffer): ExportedSpan[] {
  const { resourceSpans } = JSON.parse(body.toString()) as {
    resourceSpans: { scopeSpans: { spans: ExportedSpan[] }[] }[];
  };
  return resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans));
}

/** A span's attributes by name. */
export function attributesOf({ attributes }: ExportedSpan): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plain(value)]));
}

function plain({ arrayValue, ...value }: Value): unknown {
  return arrayValue ? arrayValue.values.map(plain) : Object.values(value)[0];
}
