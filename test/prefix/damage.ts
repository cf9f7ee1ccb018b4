import fc from 'fast-check';

/** Change a byte, insert some, remove some, or cut the file: what bad disks, proxies and people do. */
const edit = fc.oneof(
  fc.record({ kind: fc.constant('set' as const), at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }) }),
  fc.record({ kind: fc.constant('insert' as const), at: fc.nat(), bytes: fc.uint8Array({ maxLength: 9 }) }),
  fc.record({ kind: fc.constant('remove' as const), at: fc.nat(), count: fc.integer({ min: 1, max: 9 }) }),
  fc.record({ kind: fc.constant('cut' as const), at: fc.nat() }),
);
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;
/** Half of the positions in the header, where a change matters more. */
const position = fc.tuple(fc.boolean(), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));

function damagedOnce(file: Uint8Array, change: Edit, [early, share]: [boolean, number]): Uint8Array {
  const at = Math.floor(share * (early ? Math.min(120, file.length) : file.length));
  const [before, after] = [file.subarray(0, at), file.subarray(at)];
  if (change.kind === 'set') return Buffer.concat([before, Uint8Array.of(change.byte), after.subarray(1)]);
  if (change.kind === 'insert') return Buffer.concat([before, change.bytes, after]);
  if (change.kind === 'remove') return Buffer.concat([before, after.subarray(change.count)]);
  return Buffer.from(before);
}

/** One to four such changes. */
export const changes = fc.array(fc.tuple(edit, position), { minLength: 1, maxLength: 4 });

/** A file with the changes made to it, one after the other. */
export function damaged(file: Uint8Array, list: [Edit, [boolean, number]][]): Uint8Array {
  return list.reduce((bytes, [change, where]) => damagedOnce(bytes, change, where), file);
}
