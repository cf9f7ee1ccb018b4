import type { Device } from '../../runtime/ort/device.js';
import { type AnyTensor, ELEMENT_TYPES, elementCount, Tensor } from '../../runtime/ort/tensor.js';
import { copyGraph } from './copy-graphs.js';
import type { OpenGraph, BackendParts } from './backend.js';

/** Copies the weights to a device, once: every session on it uses the same tensors. */
export async function uploadWeights(
  { runtime, manifest, weights, resources }: BackendParts,
  device: Device,
  open: OpenGraph,
): Promise<ReadonlyMap<string, AnyTensor>> {
  const uploaded = new Map<string, AnyTensor>();
  const copiers = { float32: await open(copyGraph('float32', 1)), float16: await open(copyGraph('float16', 1)) };
  for (const { name, shape, offset, type = 'float32' } of manifest.weights) {
    if (type !== 'float32' && type !== 'float16') throw new Error(`${name}: a device keeps no ${type} weights`);
    const copier = copiers[type];
    const binding = copier.bind();
    const source = new Tensor(runtime, type, [elementCount(shape)], weights.file.memory, offset);
    const memory = resources.use(device.allocate(elementCount(shape) * ELEMENT_TYPES[type].bytes));
    const target = new Tensor(runtime, type, source.shape, memory);
    try {
      await copier.run(binding.input('source_0', source).output('target_0', target));
    } finally {
      binding.dispose();
      source.dispose();
      target.dispose();
    }
    uploaded.set(name, resources.use(new Tensor(runtime, type, shape, memory)));
  }
  return uploaded;
}
