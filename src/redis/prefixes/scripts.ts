import { BUCKETS } from '../../prefix/shares.js';
import { Script } from '../script.js';

/**
 * Makes an entry current, and gives it all shares. What was before is remembered, unless it was the same. The first write is one that a full
 * Redis refuses.
 */
const MAKE_CURRENT = `
local function makeCurrent(record, entry, buckets)
  local shares = redis.call('HGET', record, 'shares')
  local current = redis.call('HGET', record, 'current')
  if current == entry and not shares then return false end
  local isRead, before = pcall(cjson.decode, (current or ''):match(' (.*)$') or current or '')
  if not shares and isRead and type(before) == 'table' and before.info then
    shares = string.format('[{"version":"%s","buckets":%s}]', before.info.version, buckets)
  end
  redis.call('HSET', record, 'current', entry)
  if shares then redis.call('HSET', record, 'previous', shares) end
  redis.call('HDEL', record, 'shares')
  return true
end
`;

/** All buckets as JSON, which `MAKE_CURRENT` writes where one version had all shares. */
export const ALL_BUCKETS = JSON.stringify(Array.from({ length: BUCKETS }, (_, bucket) => bucket));

/**
 * Adds a version whose pieces are already written, and makes it current unless it is a standby. The script's first write is one that a full
 * Redis refuses, so that nothing is half-written.
 *
 * KEYS: names, record, bytes, ids, pieces...
 * ARGV: name's key, version, entry, its bytes, draft, most names or '', most bytes or '', channel, message, adapter
 * id, name, 1 for a standby or 0, all buckets
 * Returns {'added'}, {'known', entry}, {'lost'} when a piece has expired, {'first'} for a standby that is the name's first version, or
 * {'quota', names, bytes, 1 when the name is new}
 */
export const addVersion = new Script(`${MAKE_CURRENT}
local names, record, bytes, ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local key, version, entry, size, draft = ARGV[1], 'v:' .. ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local maxNames, maxBytes = tonumber(ARGV[6]), tonumber(ARGV[7])
local isStandby = ARGV[12] == '1'

local known = redis.call('HGET', record, version)
if known then
  if not isStandby then makeCurrent(record, known, ARGV[13]) end
  for i = 5, #KEYS do redis.call('UNLINK', KEYS[i]) end
  redis.call('PUBLISH', ARGV[8], ARGV[9])
  return {'known', known}
end

local new = redis.call('ZSCORE', names, key) and 0 or 1
if isStandby and new == 1 then return {'first'} end
local used = {names = redis.call('ZCARD', names), bytes = tonumber(redis.call('GET', bytes) or '0')}
local tooMany = maxNames and new == 1 and used.names + 1 > maxNames
local tooLarge = maxBytes and tonumber(size) > 0 and used.bytes + tonumber(size) > maxBytes
if tooMany or tooLarge then
  return {'quota', used.names, used.bytes, new}
end
for i = 5, #KEYS do
  if redis.call('EXISTS', KEYS[i]) == 0 then return {'lost'} end
end

local order = redis.call('HINCRBY', record, 'last', 1)
entry = string.format('%d %s', order, entry)
redis.call('HSET', record, version, entry, 'draft', draft)
if not isStandby then makeCurrent(record, entry, ARGV[13]) end
redis.call('ZADD', names, 0, key)
redis.call('HSET', ids, ARGV[10], ARGV[11])
redis.call('INCRBY', bytes, size)
for i = 5, #KEYS do redis.call('PERSIST', KEYS[i]) end
redis.call('PUBLISH', ARGV[8], ARGV[9])
return {'added'}
`);

/**
 * Puts a version in the place of its damaged one, and makes it current unless it is a standby. Pieces as in `addVersion`, and the first write too.
 *
 * KEYS: record, new pieces..., pieces of the damaged version...
 * ARGV: version, its damaged entry, entry, draft, number of new pieces, channel, message, 1 for a standby or 0, all buckets
 * Returns 'repaired', 'changed' when the entry is not the damaged one any more, or 'lost' when a piece has expired.
 */
export const repairVersion = new Script(`${MAKE_CURRENT}
local record, version, damaged, last = KEYS[1], 'v:' .. ARGV[1], ARGV[2], 1 + ARGV[5]
if redis.call('HGET', record, version) ~= damaged then return 'changed' end
for i = 2, last do
  if redis.call('EXISTS', KEYS[i]) == 0 then return 'lost' end
end
local order = damaged:match('^%d+') or redis.call('HINCRBY', record, 'last', 1)
local entry = order .. ' ' .. ARGV[3]
redis.call('HSET', record, version, entry, 'draft', ARGV[4])
if redis.call('HGET', record, 'current') == damaged then redis.call('HSET', record, 'current', entry) end
if ARGV[8] ~= '1' then makeCurrent(record, entry, ARGV[9]) end
for i = 2, last do redis.call('PERSIST', KEYS[i]) end
for i = last + 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
redis.call('PUBLISH', ARGV[6], ARGV[7])
return 'repaired'
`);

/**
 * Finds the name that an adapter id stands for. A name that looks like the id itself comes first.
 *
 * KEYS: names, ids
 * ARGV: id, the id's `nameKey`
 * Returns the name, or false when there is none.
 */
export const findName = new Script(`
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then return ARGV[1] end
return redis.call('HGET', KEYS[2], ARGV[1])
`);

/**
 * Makes a version current.
 *
 * KEYS: record
 * ARGV: version, channel, message, all buckets
 * Returns the version's entry, or false when there is none.
 */
export const promoteVersion = new Script(`${MAKE_CURRENT}
local entry = redis.call('HGET', KEYS[1], 'v:' .. ARGV[1])
if entry and makeCurrent(KEYS[1], entry, ARGV[4]) then redis.call('PUBLISH', ARGV[2], ARGV[3]) end
return entry
`);

/**
 * Changes the state of a name, unless that or the current version has changed since the caller read it.
 *
 * KEYS: record
 * ARGV: current entry, shares, previous shares and grants as they were read, each empty where there is none; the version to be current;
 * shares, previous shares and grants to write, empty for none; channel, message
 * Returns 1, or 0 when something has changed.
 */
export const changeState = new Script(`
local record, fields = KEYS[1], {'shares', 'previous', 'grants'}
if (redis.call('HGET', record, 'current') or '') ~= ARGV[1] then return 0 end
for i, field in ipairs(fields) do
  if (redis.call('HGET', record, field) or '') ~= ARGV[1 + i] then return 0 end
end
local entry = redis.call('HGET', record, 'v:' .. ARGV[5])
if not entry then return 0 end
redis.call('HSET', record, 'current', entry)
for i, field in ipairs(fields) do
  local value = ARGV[5 + i]
  if value == '' then redis.call('HDEL', record, field) else redis.call('HSET', record, field, value) end
end
redis.call('PUBLISH', ARGV[9], ARGV[10])
return 1
`);

/**
 * Removes a name with all its versions, unless the name has changed since the caller read it.
 *
 * KEYS: names, record, bytes, ids, pieces...
 * ARGV: name's key, newest draft, bytes of all versions, channel, message, adapter id
 * Returns 1, or 0 when the name has changed.
 */
export const deleteName = new Script(`
local names, record, bytes, ids = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if redis.call('HGET', record, 'draft') ~= ARGV[2] then return 0 end
redis.call('UNLINK', record)
redis.call('ZREM', names, ARGV[1])
for i = 5, #KEYS do redis.call('UNLINK', KEYS[i]) end
if redis.call('ZCARD', names) == 0 then
  redis.call('UNLINK', bytes, ids)
else
  redis.call('DECRBY', bytes, ARGV[3])
  redis.call('HDEL', ids, ARGV[6])
end
redis.call('PUBLISH', ARGV[4], ARGV[5])
return 1
`);
