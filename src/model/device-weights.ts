import type { Device } from '../runtime/device.js';
import { type AnyTensor, elementCount, Tensor } from '../runtime/tensor.js';
import { copyGraph } from './copy-graphs.js';
import type { OpenGraph, PlaceParts } from './place.js';

/** Copies the weights to a device, once: every session on it uses the same tensors. */
export async function uploadWeights(
  { runtime, manifest, weights, owned }: PlaceParts,
  device: Device,
  open: OpenGraph,
): Promise<ReadonlyMap<string, AnyTensor>> {
  const uploaded = new Map<string, AnyTensor>();
  const copier = await open(copyGraph('float32', 1));
  const binding = copier.bind();
  try {
    for (const { name, shape, offset } of manifest.weights) {
      const source = new Tensor(runtime, 'float32', [elementCount(shape)], weights.file.memory, offset);
      const memory = owned.add(device.allocate(elementCount(shape) * 4));
      const target = new Tensor(runtime, 'float32', source.shape, memory);
      try {
        await copier.run(binding.input('source_0', source).output('target_0', target));
      } finally {
        source.dispose();
        target.dispose();
      }
      uploaded.set(name, owned.add(new Tensor(runtime, 'float32', shape, memory)));
    }
  } finally {
    binding.dispose();
  }
  return uploaded;
}
