import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { Ajv } from 'ajv';
import { validate } from 'dockerfile-utils';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

import { defaultConfig } from '../../src/config/config.js';
import { packageRoot } from '../../src/config/paths.js';
import { testMetrics } from '../server/harness.js';
import { gatewaySchemas } from './gateway-schemas.js';

interface Container {
  readonly args?: readonly string[];
  readonly ports: readonly { readonly containerPort: number }[];
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: object;
}
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: { readonly terminationGracePeriodSeconds: number; readonly containers: readonly Container[] };
    };
  };
}
type Model = new (manifest: Manifest) => { validate(): void };

const load = createRequire(import.meta.url);
const read = (file: string): string => readFileSync(join(packageRoot, 'docker', file), 'utf8');
const inFile = (file: string): Manifest[] =>
  parseAllDocuments(read(`kubernetes/${file}`)).map((document) => document.toJS() as Manifest);
const manifests = [...inFile('preamble.yaml'), ...inFile('worker.yaml')];
const pool = inFile('inference-pool.yaml');

/** Throws where a manifest is not what its schema says. */
function check(manifest: Manifest): void {
  const schema = gatewaySchemas[`${manifest.apiVersion} ${manifest.kind}`];
  if (schema !== undefined) {
    const ajv = new Ajv();
    if (!ajv.validate(schema, manifest.spec)) throw new Error(ajv.errorsText());
    return;
  }
  const models = load(`kubernetes-models/${manifest.apiVersion}`) as Record<string, Model | undefined>;
  const KnownModel = models[manifest.kind];
  if (KnownModel === undefined) throw new Error(`${manifest.apiVersion} has no ${manifest.kind}`);
  new KnownModel(manifest).validate();
}

it.each([...manifests, ...pool].map((manifest) => [manifest.kind, manifest] as const))(
  '%s is what its schema says',
  (_, manifest) => {
    expect(() => check(manifest)).not.toThrow();
    const wrong = Object.keys(manifest).filter((key) => !['apiVersion', 'kind'].includes(key));
    expect(() => check({ ...manifest, ...Object.fromEntries(wrong.map((key) => [key, 1])) })).toThrow();
  },
);

it('the pool has the pods of the deployment, and a picker that asks for metrics that are there', async () => {
  const spec = (kind: string, of: Manifest[]) => of.find((manifest) => manifest.kind === kind)?.spec as unknown;
  const pods = manifests.find(({ kind }) => kind === 'Deployment')?.spec.template;
  expect(spec('InferencePool', pool)).toMatchObject({
    selector: { matchLabels: pods?.metadata.labels },
    targetPorts: [{ number: pods?.spec.containers[0]?.ports[0]?.containerPort }],
    endpointPickerRef: { name: pool.find(({ kind }) => kind === 'Service')?.metadata.name },
  });
  const picker = pool.find(({ kind }) => kind === 'Deployment')?.spec.template.spec.containers[0];
  const asked = (picker?.args ?? []).flatMap((arg) => /-metric=(.+)/.exec(arg)?.[1] ?? []);
  expect(asked).toHaveLength(4);
  const text = await testMetrics().text();
  for (const name of asked) expect(text).toContain(`# TYPE ${name} gauge`);
});

it('the picker scores by what it has scorers for, and by adapter less than by queue', () => {
  const { data } = pool.find(({ kind }) => kind === 'ConfigMap') as unknown as { data: Record<string, string> };
  const config = parse(data['plugins.yaml'] ?? '') as {
    plugins: { type: string }[];
    schedulingProfiles: { plugins: { pluginRef: string; weight: number }[] }[];
  };
  const weights = Object.fromEntries(
    config.schedulingProfiles.flatMap(({ plugins }) => plugins.map(({ pluginRef, weight }) => [pluginRef, weight])),
  );
  expect(Object.keys(weights).sort()).toEqual(config.plugins.map(({ type }) => type).sort());
  // As `registerInTreePlugins` of the extension's v1.3.0 calls them.
  expect(weights).toEqual({ 'queue-scorer': 2, 'kv-cache-utilization-scorer': 1, 'lora-affinity-scorer': 1 });
});

it('a pod has time to drain', () => {
  const deployment = manifests.find(({ kind }) => kind === 'Deployment');
  const pod = deployment?.spec.template.spec;
  expect(pod?.terminationGracePeriodSeconds).toBeGreaterThan(defaultConfig().drainSeconds + 5);
  expect(pod?.containers[0]?.env).toContainEqual({ name: 'PREAMBLE_DRAIN_SECONDS', value: '30' });
});

it.each(['Dockerfile', 'Dockerfile.cuda'])('%s passes its linter, and does not run as root', (file) => {
  const text = read(file);
  expect(validate(text)).toEqual([]);
  expect(validate('FRM x')).not.toEqual([]);
  expect(/^USER (\S+)$/m.exec(text)?.[1]).toMatch(/^(node|1000:1000)$/);
  expect(text).toMatch(/^HEALTHCHECK /m);
});

it('compose has every service that it names, and replicas that may write nowhere but where they must', () => {
  const compose = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<
      string,
      { depends_on?: string[] | object; read_only?: boolean; environment?: Record<string, string> }
    >;
  };
  const names = Object.keys(compose.services);
  for (const { depends_on: on = [] } of Object.values(compose.services)) {
    expect(names).toEqual(expect.arrayContaining(Array.isArray(on) ? on : Object.keys(on)));
  }
  const replicas = ['replica-a', 'replica-b'];
  for (const name of [...replicas, 'worker'])
    expect(compose.services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
  const proxy = compose.services['haproxy']?.environment ?? {};
  expect([proxy['PREAMBLE_REPLICA_A'], proxy['PREAMBLE_REPLICA_B']]).toEqual(replicas.map((name) => `${name}:8000`));
  const asked = [...read('haproxy/haproxy.cfg').matchAll(/\$\{(\w+)\}/g)].map(([, name = '']) => name);
  expect(Object.keys(proxy)).toEqual(asked);
});

it('compose publishes HAProxy, and everything else only to the machine itself', () => {
  const { services } = parse(read('compose.yaml'), { merge: true }) as {
    services: Record<string, { ports?: string[] }>;
  };
  const published = Object.entries(services).flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]));
  expect(published.filter(([, port]) => !port?.startsWith('127.0.0.1:'))).toEqual([['haproxy', '8000:8000']]);
});
