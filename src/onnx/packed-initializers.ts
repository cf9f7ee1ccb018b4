import onnxProto, { type onnx } from 'onnx-proto';

/** A range of a file. */
export interface ByteRange {
  readonly offset: number;
  readonly bytes: number;
}

/** What an operator of ONNX Runtime makes of an initializer before the first run, in the file that holds the initializer too. */
export interface PackedInitializer {
  /** ONNX Runtime's name for the packed bytes: the operator and a hash. What it finds no name for it packs by itself. */
  readonly key: string;
  readonly packed: readonly ByteRange[];
}

const { ModelProto } = onnxProto.onnx;
/** What ONNX Runtime calls the entries of an initializer that say where packed bytes lie: `key|offset;bytes;checksum|...`. */
const PACKED_ENTRY = 'prepacked';
/** Looks rows of a weight up; every other operator that is given a matrix multiplies by it. */
const LOOKUP = 'Gather';

/** Initializers of a model that was saved with packed copies, by name. Those that several operators pack each in their own way are left out. */
export function readPackedInitializers(model: Uint8Array): Map<string, PackedInitializer> {
  const found = new Map<string, PackedInitializer>();
  for (const { name, externalData } of ModelProto.decode(model).graph?.initializer ?? []) {
    const entries = (externalData ?? []).map(({ key, value }) => [key ?? '', value ?? ''] as const);
    const packed = entries.filter(([key]) => key.startsWith(PACKED_ENTRY)).map(([, value]) => value);
    if (typeof name !== 'string' || packed.length !== 1) continue;
    const [key = '', ...blobs] = (packed[0] as string).split('|');
    found.set(name, { key, packed: blobs.map(toRange) });
  }
  return found;
}

function toRange(blob: string): ByteRange {
  const [offset, bytes] = blob.split(';').map(Number) as [number, number];
  return { offset, bytes };
}

/**
 * A model whose products take their weights from a file that has packed copies of them too. Rows are looked up in an initializer of the old
 * name: where the caller gives that one's values, the file's are not read twice.
 * @param file name of the file, relative to the directory of external files; it has every initializer at the offset that the model says
 */
export function withPackedInitializers(
  model: Uint8Array,
  file: string,
  initializers: ReadonlyMap<string, PackedInitializer>,
): Uint8Array {
  const decoded = ModelProto.decode(model);
  const graph = decoded.graph as onnx.IGraphProto;
  const multiplied = new Set<string>();
  for (const { opType, input } of graph.node ?? []) {
    if (opType === LOOKUP) continue;
    input?.forEach((name, index) => {
      if (!initializers.has(name)) return;
      multiplied.add(name);
      input[index] = packedName(name);
    });
  }
  const used = new Set(graph.node?.flatMap(({ input }) => input ?? []));
  graph.initializer = (graph.initializer ?? []).flatMap((initializer) => {
    if (!initializer.externalData?.length) return [initializer];
    const name = initializer.name as string;
    const externalData = initializer.externalData.map((entry) =>
      entry.key === 'location' ? { ...entry, value: file } : entry,
    );
    const kept = used.has(name) ? [{ ...initializer, externalData }] : [];
    if (!multiplied.has(name)) return kept;
    const entry = packedEntry(initializers.get(name) as PackedInitializer);
    return [...kept, { ...initializer, name: packedName(name), externalData: [...externalData, entry] }];
  });
  return ModelProto.encode(decoded).finish();
}

function packedName(name: string): string {
  return `${name}.packed`;
}

function packedEntry({ key, packed }: PackedInitializer): onnx.IStringStringEntryProto {
  const blobs = packed.map(({ offset, bytes }) => `${offset};${bytes};0`);
  return { key: `${PACKED_ENTRY}_0`, value: [key, ...blobs].join('|') };
}
