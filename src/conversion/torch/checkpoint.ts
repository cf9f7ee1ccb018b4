import { type Dtype, DTYPE_BYTES } from '../../safetensors/index.js';
import { ConversionError, shown } from '../errors.js';
import type { SourceTensor, SourceTensors } from '../tensors.js';
import { type PickleGlobal, readPickle } from './pickle.js';
import { openStoredZip, type StoredZip } from './zip.js';

/** Most bytes of the pickle that names the tensors; a large checkpoint has some 100 KB. */
const MAX_PICKLE_BYTES = 1 << 24;
const MAX_DIMENSIONS = 8;
const PICKLE = 'data.pkl';

const STORAGES: ReadonlyMap<string, Dtype> = new Map([
  ['torch FloatStorage', 'F32'],
  ['torch HalfStorage', 'F16'],
  ['torch BFloat16Storage', 'BF16'],
]);

/** Memory of one or several tensors, an entry of the archive. */
class Storage {
  constructor(
    readonly dtype: Dtype,
    readonly bytes: Uint8Array,
  ) {}
}

/** A tensor as the pickle builds it. */
class TorchTensor implements SourceTensor {
  constructor(
    readonly shape: readonly number[],
    readonly dtype: Dtype,
    readonly bytes: Uint8Array,
  ) {}
}

/**
 * The tensors of a file of `torch.save` that holds a dict of tensors by name, such as a `state_dict`. The file is read, never
 * unpickled: nothing in it is run.
 * @throws ConversionError for anything else in the file
 */
export function readTorchFile(file: Uint8Array): SourceTensors {
  const zip = openStoredZip(file);
  if (zip === undefined) {
    throw new ConversionError(
      'not a file of torch.save in the format of torch 1.6 and later, or cut short; load it where it was trained, and save it ' +
        'again with a newer torch',
    );
  }
  const root = rootOf(zip);
  checkByteOrder(zip, root);
  const pickle = zip.read(root + PICKLE) as Uint8Array;
  if (pickle.length > MAX_PICKLE_BYTES) {
    throw new ConversionError(`the pickle has ${pickle.length} bytes; at most ${MAX_PICKLE_BYTES} are accepted`);
  }
  const storages = new Map<string, Storage>();
  const value = readPickle(pickle, { globals: GLOBALS, persistent: (id) => storageOf(id, zip, root, storages) });
  if (!(value instanceof Map)) throw new ConversionError('the file holds no dict of tensors');
  return new Map(
    [...(value as Map<unknown, unknown>)].map(([name, tensor]) => {
      if (typeof name === 'string' && tensor instanceof TorchTensor) return [name, tensor];
      const what = typeof name === 'string' ? shown(name) : 'a key that is not a text';
      throw new ConversionError(`the file holds more than tensors by name: ${what}`);
    }),
  );
}

const GLOBALS: readonly PickleGlobal[] = [
  { name: 'collections OrderedDict', call: orderedDict },
  { name: 'torch._utils _rebuild_tensor_v2', call: rebuildTensor },
  ...[...STORAGES.keys()].map((name) => ({ name })),
];

/** The archive's one folder, with a slash at its end. */
function rootOf({ names }: StoredZip): string {
  const [pickle, another] = names.filter((name) => name === PICKLE || name.endsWith(`/${PICKLE}`));
  if (pickle === undefined || another !== undefined) {
    throw new ConversionError(`not a file of torch.save: the archive needs one ${PICKLE}`);
  }
  return pickle.slice(0, -PICKLE.length);
}

/** Before torch 2.1 there was no such entry, and every file was little-endian. */
function checkByteOrder(zip: StoredZip, root: string): void {
  const entry = zip.read(`${root}byteorder`);
  const order = entry === undefined ? 'little' : new TextDecoder().decode(entry);
  if (order !== 'little') throw new ConversionError(`byteorder: ${shown(order)}; accepted is "little"`);
}

function orderedDict(args: readonly unknown[]): Map<unknown, unknown> {
  if (args.length !== 0) throw new ConversionError('the pickle fills an OrderedDict in a way that torch.save does not');
  return new Map();
}

/**
 * A persistent id: ('storage', type, key, device, number of elements). The device has no effect.
 * @param known storages that were read before, which tensors share
 */
function storageOf(id: unknown, zip: StoredZip, root: string, known: Map<string, Storage>): Storage {
  const [kind, type, key, , length] = Array.isArray(id) ? (id as unknown[]) : [];
  const dtype = STORAGES.get(GLOBALS.find((global) => global === type)?.name ?? '');
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string' || !isCount(length)) {
    throw new ConversionError('the pickle refers to something that is not the storage of a tensor');
  }
  const before = known.get(key);
  const bytes = before?.bytes ?? zip.read(`${root}data/${key}`);
  if (bytes?.length !== length * DTYPE_BYTES[dtype]) {
    throw new ConversionError(
      `the storage ${shown(key)} is missing, or has not the ${length} elements that it should have`,
    );
  }
  if (before?.dtype === dtype) return before;
  const storage = new Storage(dtype, bytes);
  known.set(key, storage);
  return storage;
}

/** Arguments: storage, offset, size, stride, requires_grad, backward_hooks. Offset and stride are counted in elements. */
function rebuildTensor([storage, offset, size, stride]: readonly unknown[]): TorchTensor {
  if (!(storage instanceof Storage) || !isCount(offset) || !areCounts(size) || !areCounts(stride)) {
    throw new ConversionError('the pickle builds a tensor in a way that torch.save does not');
  }
  if (!isContiguous(size, stride)) {
    throw new ConversionError(`a tensor [${size.join(', ')}] is not contiguous; save it after .contiguous()`);
  }
  const { dtype, bytes } = storage;
  const [begin, end] = [offset, offset + product(size)].map((element) => element * DTYPE_BYTES[dtype]);
  if (!((end as number) <= bytes.length)) {
    throw new ConversionError(`a tensor [${size.join(', ')}] is larger than its storage`);
  }
  return new TorchTensor(size, dtype, bytes.subarray(begin, end));
}

/** Whether rows lie one behind another. The stride of a dimension of 1 has no effect. */
function isContiguous(size: readonly number[], stride: readonly number[]): boolean {
  if (size.length !== stride.length) return false;
  let expected = 1;
  for (let dim = size.length - 1; dim >= 0; dim--) {
    if (size[dim] !== 1 && stride[dim] !== expected) return false;
    expected *= size[dim] as number;
  }
  return true;
}

function product(size: readonly number[]): number {
  return size.reduce((all, dim) => all * dim, 1);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** Sizes or strides of the dimensions of a tensor, which has hardly more than two here. */
function areCounts(value: unknown): value is number[] {
  return Array.isArray(value) && value.length <= MAX_DIMENSIONS && value.every(isCount);
}
