import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

import { validate } from 'dockerfile-utils';
import { expect, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';

import { defaultConfig, packageRoot } from '../../src/config.js';

interface Container {
  readonly env: readonly { readonly name: string; readonly value: string }[];
  readonly securityContext: object;
}
interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly spec: {
    readonly template: {
      readonly spec: { readonly terminationGracePeriodSeconds: number; readonly containers: readonly Container[] };
    };
  };
}
type Model = new (manifest: Manifest) => { validate(): void };

const load = createRequire(import.meta.url);
const read = (file: string): string => readFileSync(join(packageRoot, 'docker', file), 'utf8');
const manifests = ['preamble', 'worker'].flatMap((file) =>
  parseAllDocuments(read(`kubernetes/${file}.yaml`)).map((document) => document.toJS() as Manifest),
);

/** Throws where a manifest is not what Kubernetes's own schema says. */
function check(manifest: Manifest): void {
  const models = load(`kubernetes-models/${manifest.apiVersion}`) as Record<string, Model | undefined>;
  const KnownModel = models[manifest.kind];
  if (KnownModel === undefined) throw new Error(`${manifest.apiVersion} has no ${manifest.kind}`);
  new KnownModel(manifest).validate();
}

it.each(manifests.map((manifest) => [manifest.kind, manifest] as const))(
  '%s is what its schema says',
  (_, manifest) => {
    expect(() => check(manifest)).not.toThrow();
    expect(() => check({ ...manifest, spec: 1 } as never)).toThrow();
  },
);

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
});
