import { crc32 } from 'node:zlib';

/** Opcodes of a pickle of protocol 2, written by hand: what torch.save writes, and what it never would. */
export const op = {
  protocol: (version: number) => [0x80, version],
  mark: [0x28],
  stop: [0x2e],
  emptyDict: [0x7d],
  emptyTuple: [0x29],
  tuple: [0x74],
  setItem: [0x73],
  setItems: [0x75],
  build: [0x62],
  reduce: [0x52],
  persistent: [0x51],
  isFalse: [0x89],
  int: (value: number) => [0x4a, ...new Uint8Array(Int32Array.of(value).buffer)],
  text: (value: string) => {
    const bytes = new TextEncoder().encode(value);
    return [0x58, ...new Uint8Array(Uint32Array.of(bytes.length).buffer), ...bytes];
  },
  global: (module: string, name: string) => [0x63, ...new TextEncoder().encode(`${module}\n${name}\n`)],
};

/** Memory of tensors, as the archive has it. */
export interface TestStorage {
  /** FloatStorage and so on. */
  readonly type: string;
  readonly bytes: Uint8Array;
  /** In elements. */
  readonly length: number;
}

/** A tensor in a storage. */
export interface TestTensor {
  readonly storage: string;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly stride?: readonly number[];
}

export function floatStorage(values: readonly number[]): TestStorage {
  return { type: 'FloatStorage', bytes: new Uint8Array(Float32Array.from(values).buffer), length: values.length };
}

/** A file of torch.save with a dict of tensors. */
export function torchFile(
  storages: Readonly<Record<string, TestStorage>>,
  tensors: Readonly<Record<string, TestTensor>>,
): Uint8Array {
  const items = Object.entries(tensors).flatMap(([name, tensor]) => [...op.text(name), ...tensorOf(tensor, storages)]);
  const pickle = [...op.protocol(2), ...op.emptyDict, ...op.mark, ...items, ...op.setItems, ...op.stop];
  return fileOf(pickle, storages);
}

/** A file of torch.save with this pickle. */
export function fileOf(pickle: readonly number[], storages: Readonly<Record<string, TestStorage>> = {}): Uint8Array {
  const data = Object.entries(storages).map(([key, { bytes }]) => [`archive/data/${key}`, bytes] as const);
  return zipOf({ 'archive/data.pkl': Uint8Array.from(pickle), ...Object.fromEntries(data) });
}

function tensorOf(
  { storage, offset = 0, shape, stride = contiguous(shape) }: TestTensor,
  storages: Readonly<Record<string, TestStorage>>,
): number[] {
  const { type, length } = storages[storage]!;
  const id = [op.text('storage'), op.global('torch', type), op.text(storage), op.text('cpu'), op.int(length)];
  return [
    ...op.global('torch._utils', '_rebuild_tensor_v2'),
    ...tuple([
      [...tuple(id), ...op.persistent],
      op.int(offset),
      tuple(shape.map(op.int)),
      tuple(stride.map(op.int)),
      op.isFalse,
      [...op.global('collections', 'OrderedDict'), ...op.emptyTuple, ...op.reduce],
    ]),
    ...op.reduce,
  ];
}

export function tuple(items: readonly (readonly number[])[]): number[] {
  return [...op.mark, ...items.flat(), ...op.tuple];
}

function contiguous(shape: readonly number[]): number[] {
  return shape.map((_, dim) => shape.slice(dim + 1).reduce((all, size) => all * size, 1));
}

/** A zip archive without compression. `method` is what its directory says of it. */
export function zipOf(entries: Readonly<Record<string, Uint8Array>>, method = 0): Uint8Array {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let at = 0;
  for (const [name, content] of Object.entries(entries)) {
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(Buffer.byteLength(name), 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt32LE(crc32(content), 16);
    central.writeUInt32LE(content.length, 20);
    central.writeUInt32LE(content.length, 24);
    central.writeUInt16LE(Buffer.byteLength(name), 28);
    central.writeUInt32LE(at, 42);
    parts.push(local, Buffer.from(name), Buffer.from(content));
    directory.push(central, Buffer.from(name));
    at += local.length + Buffer.byteLength(name) + content.length;
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Object.keys(entries).length, 10);
  end.writeUInt32LE(at, 16);
  return new Uint8Array(Buffer.concat([...parts, ...directory, end]));
}
