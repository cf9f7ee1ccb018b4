import { crc32 } from 'node:zlib';

import { ConversionError, shown } from '../errors.js';

/** A zip archive whose entries are stored as they are. */
export interface StoredZip {
  readonly names: readonly string[];
  /** The entry's bytes, a view of the archive; undefined if there is no such entry. Throws ConversionError for a damaged one. */
  read(name: string): Uint8Array | undefined;
}

interface Entry {
  readonly header: number;
  readonly size: number;
  readonly crc: number;
}

const LOCAL = { signature: 0x04034b50, bytes: 30 };
const CENTRAL = { signature: 0x02014b50, bytes: 46 };
const END = { signature: 0x06054b50, bytes: 22 };
const MAX_COMMENT_BYTES = 0xffff;
const ENCRYPTED = 1;

/**
 * Reads the directory of a zip archive as `torch.save` writes it: nothing is compressed or encrypted, and there are no
 * more than 65,534 entries. Undefined for a file that is no zip archive.
 * @throws ConversionError
 */
export function openStoredZip(file: Uint8Array): StoredZip | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const end = findEnd(view);
  if (end === undefined) return undefined;
  const entries = readDirectory(file, view, end);
  return {
    names: [...entries.keys()],
    read: (name) => {
      const entry = entries.get(name);
      return entry === undefined ? undefined : contentOf(name, entry, file, view);
    },
  };
}

/** Offset of the record that ends the archive: its comment fills what is left of the file. */
function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - END.bytes;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT_BYTES); at--) {
    if (view.getUint32(at, true) === END.signature && view.getUint16(at + 20, true) === last - at) return at;
  }
  return undefined;
}

function readDirectory(file: Uint8Array, view: DataView, end: number): Map<string, Entry> {
  const count = view.getUint16(end + 10, true);
  if (count === 0xffff) throw new ConversionError('the archive has more than 65,534 entries');
  const entries = new Map<string, Entry>();
  let at = view.getUint32(end + 16, true);
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL.bytes > end || view.getUint32(at, true) !== CENTRAL.signature) throw damaged('its directory');
    const nameEnd = at + CENTRAL.bytes + view.getUint16(at + 28, true);
    if (nameEnd > end) throw damaged('its directory');
    const name = new TextDecoder().decode(file.subarray(at + CENTRAL.bytes, nameEnd));
    if (entries.has(name)) throw new ConversionError(`the archive has the entry ${shown(name)} twice`);
    entries.set(name, readEntry(name, view, at));
    at = nameEnd + view.getUint16(at + 30, true) + view.getUint16(at + 32, true);
  }
  return entries;
}

function readEntry(name: string, view: DataView, at: number): Entry {
  const isEncrypted = (view.getUint16(at + 8, true) & ENCRYPTED) !== 0;
  const method = view.getUint16(at + 10, true);
  const size = view.getUint32(at + 20, true);
  if (isEncrypted || method !== 0 || size !== view.getUint32(at + 24, true)) {
    throw new ConversionError(
      `the archive's entry ${shown(name)} is compressed or encrypted, which torch.save never does`,
    );
  }
  return { header: view.getUint32(at + 42, true), size, crc: view.getUint32(at + 16, true) };
}

function contentOf(name: string, { header, size, crc }: Entry, file: Uint8Array, view: DataView): Uint8Array {
  const what = `its entry ${shown(name)}`;
  if (header + LOCAL.bytes > file.length || view.getUint32(header, true) !== LOCAL.signature) throw damaged(what);
  const begin = header + LOCAL.bytes + view.getUint16(header + 26, true) + view.getUint16(header + 28, true);
  if (begin + size > file.length) throw damaged(what);
  const content = file.subarray(begin, begin + size);
  if (crc32(content) !== crc) throw damaged(what);
  return content;
}

function damaged(what: string): ConversionError {
  return new ConversionError(`the archive is damaged: ${what} is cut short or was changed`);
}
