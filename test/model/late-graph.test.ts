import fs from 'node:fs/promises';
import path from 'node:path';

import { expect, it, onTestFinished } from 'vitest';

import { LateGraph } from '../../src/model/late-graph.js';
import { GraphBuilder } from '../../src/onnx/graph.js';
import { Runtime } from '../../src/runtime/ort/runtime.js';
import { Session } from '../../src/runtime/ort/session.js';
import { temporaryDirectory } from '../server/prefix-library.js';

function identity(): Uint8Array {
  const graph = new GraphBuilder('identity');
  graph.nodes('Identity', [graph.input('x', 'float32', ['n'])], ['y']);
  graph.output('y', 'float32', ['n']);
  return graph.toBytes();
}

async function lateGraph(): Promise<{ graph: LateGraph; file: string; opened: () => number }> {
  const runtime = new Runtime({ threads: 1, quiet: true });
  const file = path.join(await temporaryDirectory(), 'late.onnx');
  let opened = 0;
  const graph = new LateGraph(() => {
    opened++;
    return Session.open(runtime, file);
  });
  onTestFinished(async () => {
    await graph.dispose();
    runtime.dispose();
  });
  return { graph, file, opened: () => opened };
}

it('is opened once for all who ask, and not before', async () => {
  const { graph, file, opened } = await lateGraph();
  await fs.writeFile(file, identity());
  expect(opened()).toBe(0);
  const [first, second] = await Promise.all([graph.open(), graph.open()]);
  expect(first).toBe(second);
  expect(await graph.open()).toBe(first);
  expect(opened()).toBe(1);
  expect([...first.session.inputs]).toEqual(['x']);
});

it('is tried again after an opening that failed', async () => {
  const { graph, file, opened } = await lateGraph();
  await expect(graph.open()).rejects.toThrow('CreateSession');
  await fs.writeFile(file, identity());
  expect((await graph.open()).session.outputs).toEqual(new Set(['y']));
  expect(opened()).toBe(2);
});

it('waits for an opening under way when it is disposed, and opens nothing afterwards', async () => {
  const { graph, file } = await lateGraph();
  await fs.writeFile(file, identity());
  const opening = graph.open();
  await graph.dispose();
  const { session } = await opening;
  expect(() => session.bind()).toThrow('disposed');
  await expect(graph.open()).rejects.toThrow('disposed');
});
