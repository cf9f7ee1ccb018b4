import { tenantKey } from '../../prefix/name.js';
import type { FileLayout, PieceKeys } from '../pieces.js';
import { Script } from '../script.js';

/** Record of a stored file, as JSON. */
export interface StoredFile<T> {
  readonly file: T;
  /** Random, and part of its pieces' keys. */
  readonly draft: string;
  readonly layout: FileLayout;
}

/**
 * Keys of one tenant's files, in one slot of a cluster:
 *
 *     preamble:1:{files:TENANT}:ids            sorted set of ids, by the time they were added
 *     preamble:1:{files:TENANT}:bytes          of all files
 *     preamble:1:{files:TENANT}:file:ID        a `StoredFile`
 *     preamble:1:{files:TENANT}:piece:DRAFT:N  part of a file's content
 */
export class FileKeys implements PieceKeys {
  readonly #root: string;

  /** Throws `tenant_invalid`. */
  constructor(tenant: string) {
    this.#root = `preamble:1:{files:${tenantKey(tenant)}}`;
  }

  get ids(): string {
    return `${this.#root}:ids`;
  }

  get bytes(): string {
    return `${this.#root}:bytes`;
  }

  record(id: string): string {
    return `${this.#root}:file:${id}`;
  }

  piece(draft: string, index: number): string {
    return `${this.#root}:piece:${draft}:${index}`;
  }
}

/**
 * Adds a file whose pieces are there; one of the same id stays as it is. The first write is one that a full Redis refuses.
 *
 * KEYS: ids, record, bytes, pieces...
 * ARGV: id, created, record, its bytes, most files or '', most bytes or ''
 * Returns {'added'}, {'known'}, {'lost'} when a piece has expired, or {'quota', files, bytes}
 */
export const addFile = new Script(`
local ids, record, bytes = KEYS[1], KEYS[2], KEYS[3]
local size, maxFiles, maxBytes = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if redis.call('EXISTS', record) == 1 then return {'known'} end
local files, used = redis.call('ZCARD', ids), tonumber(redis.call('GET', bytes) or '0')
if (maxFiles and files + 1 > maxFiles) or (maxBytes and used + size > maxBytes) then return {'quota', files, used} end
for i = 4, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'lost'} end
end
redis.call('SET', record, ARGV[3])
redis.call('ZADD', ids, ARGV[2], ARGV[1])
redis.call('INCRBY', bytes, ARGV[4])
for i = 4, #KEYS do redis.call('PERSIST', KEYS[i]) end
return {'added'}
`);

/** KEYS: ids, record, bytes, pieces... ARGV: id, its bytes. Returns 1, or 0 when there is none. */
export const deleteFile = new Script(`
if redis.call('DEL', KEYS[2]) == 0 then return 0 end
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('DECRBY', KEYS[3], ARGV[2])
for i = 4, #KEYS do redis.call('UNLINK', KEYS[i]) end
return 1
`);
