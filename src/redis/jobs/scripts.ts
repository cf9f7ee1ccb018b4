import { MAX_EVENTS } from '../../jobs/job-store.js';
import { Script } from '../script.js';

// Scripts that change jobs, each in one step; `keys.ts` names their keys.

/** Seconds that the results of a job are kept that nobody goes on with. */
const RESULT_SECONDS = 30 * 24 * 3600;

/** Seconds that events are kept after the last one. */
const EVENT_SECONDS = 30 * 24 * 3600;

/**
 * KEYS: job, ids, unfinished of the tenant, unfinished of the base model
 * ARGV: id, created, `ID TENANT`, most unfinished or '', then fields and their values
 * Returns -1, or how many are unfinished where that is too many.
 */
export const addJob = new Script(`
local most, unfinished = tonumber(ARGV[4]), redis.call('SCARD', KEYS[3])
if most and unfinished + 1 > most then return unfinished end
redis.call('HSET', KEYS[1], unpack(ARGV, 5))
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
redis.call('SADD', KEYS[3], ARGV[1])
redis.call('ZADD', KEYS[4], ARGV[2], ARGV[3])
return -1
`);

/**
 * KEYS: as `addJob`
 * ARGV: id, `ID TENANT`, '1' when the job is finished then, how many statuses follow, the statuses, then fields and their values
 * Returns the job's hash after the change, or false when it is not there or has none of the statuses.
 */
export const changeJob = new Script(`
local status = redis.call('HGET', KEYS[1], 'status')
local fields, found = 5 + ARGV[4], false
for i = 5, fields - 1 do found = found or ARGV[i] == status end
if not found then return false end
if ARGV[fields] then redis.call('HSET', KEYS[1], unpack(ARGV, fields)) end
if ARGV[3] == '1' then
  redis.call('SREM', KEYS[3], ARGV[1])
  redis.call('ZREM', KEYS[4], ARGV[2])
end
return redis.call('HGETALL', KEYS[1])
`);

/** KEYS: ids, unfinished of the tenant. ARGV: how many finished ones are kept. Returns the ids of the finished ones before those. */
export const surplusJobs = new Script(`
local surplus, ids = redis.call('ZCARD', KEYS[1]) - redis.call('SCARD', KEYS[2]) - ARGV[1], {}
if surplus <= 0 then return ids end
for _, id in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if #ids < surplus and redis.call('SISMEMBER', KEYS[2], id) == 0 then ids[#ids + 1] = id end
end
return ids
`);

/** KEYS: as `addJob`, and events. ARGV: id, `ID TENANT`. Returns 1, or 0 when there is none. */
export const deleteJob = new Script(`
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('SREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('DEL', KEYS[5])
return 1
`);

/** KEYS: job, events. ARGV: the event. */
export const addEvent = new Script(`
if redis.call('EXISTS', KEYS[1]) == 0 then return end
redis.call('LPUSH', KEYS[2], ARGV[1])
redis.call('LTRIM', KEYS[2], 0, ${MAX_EVENTS - 1})
redis.call('EXPIRE', KEYS[2], ${EVENT_SECONDS})
`);

/**
 * Adds a result to a job that runs, unless it has one of that number.
 *
 * KEYS: job, results, counts
 * ARGV: number, value, then names and what is added to their sums
 */
export const addResult = new Script(`
if redis.call('HGET', KEYS[1], 'status') ~= '"running"' then return end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return end
for i = 3, #ARGV, 2 do redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[2], ${RESULT_SECONDS})
redis.call('EXPIRE', KEYS[3], ${RESULT_SECONDS})
`);
