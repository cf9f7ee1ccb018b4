import { ReplyError } from 'ioredis';
import { expect, it } from 'vitest';

import { redisFailure, storeFailure } from '../../src/redis/errors.js';

const reply = (message: string, more: object = {}): Error =>
  Object.assign(new (ReplyError as new (message: string) => Error)(message), more);

/** Texts of Redis 6.2, 7.0.15 and Valkey 9.1.2. */
it.each([
  ["READONLY You can't write against a read only replica.", 'read_only', 'READONLY'],
  ["READONLY You can't write against a read only replica. script: 08be, on @user_script:1.", 'read_only', 'READONLY'],
  ["ERR Error running script (call to f_1): @user_script:1: @user_script: 1: -READONLY You can't write against a read only replica.", 'read_only', 'READONLY'], // prettier-ignore
  ['NOREPLICAS Not enough good replicas to write.', 'read_only', 'NOREPLICAS'],
  ['MISCONF Redis is configured to save RDB snapshots, but it is unable to persist on disk.', 'read_only', 'MISCONF'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 08be, on @user_script:1.", 'full', 'OOM'],
  ["NOPERM this user has no permissions to run the 'eval' command", 'forbidden', 'NOPERM'],
  ["NOPERM User secret has no permissions to run the 'eval' command", 'forbidden', 'NOPERM'],
  ["ERR The user executing the script can't run this command or subcommand script: 08be, on @user_script:1.", 'forbidden', 'NOPERM'], // prettier-ignore
  ["ERR The user executing the script can't publish to the channel mentioned in the command script: 2005, on @user_script:1.", 'forbidden', 'NOPERM'], // prettier-ignore
  ["ERR ACL failure in script: User secret has no permissions to run the 'hset' command script: on @user_script:1.", 'forbidden', 'NOPERM'], // prettier-ignore
  ['WRONGPASS invalid username-password pair or user is disabled.', 'refused', 'WRONGPASS'],
  ['NOAUTH Authentication required.', 'refused', 'NOAUTH'],
  ['LOADING Redis is loading the dataset in memory', 'unavailable', 'LOADING'],
  ["MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", 'unavailable', 'MASTERDOWN'],
  ['BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.', 'unavailable', 'BUSY'],
  ['CLUSTERDOWN Hash slot not served', 'unavailable', 'CLUSTERDOWN'],
  ['ERR max number of clients reached', 'unavailable', 'MAXCLIENTS'],
  ['MOVED 1 127.0.0.1:1', 'redirected', 'MOVED'],
])('%s', (message, reason, cause) => {
  expect(storeFailure(reply(message))).toEqual({ reason, cause });
  const aborted = reply('EXECABORT Transaction discarded because of previous errors.', {
    previousErrors: [reply(message)],
  });
  expect(storeFailure(aborted)).toEqual({ reason, cause });
});

it('errors of the connection are failures, those of a command are not', () => {
  const failed = (message: string, more: object = {}) => storeFailure(Object.assign(new Error(message), more));
  const refused = failed('connect ECONNREFUSED', { code: 'ECONNREFUSED', syscall: 'connect' });
  expect(refused).toEqual({ reason: 'unavailable', cause: 'ECONNREFUSED' });
  expect(failed('Command timed out')).toEqual({ reason: 'unavailable', cause: 'timeout' });
  expect(failed('Connection is closed.')).toEqual({ reason: 'unavailable', cause: 'connection lost' });
  expect(redisFailure(reply('WRONGTYPE Operation against a key holding the wrong kind of value'))).toBeUndefined();
  expect(redisFailure(reply('ERR value is not an integer or out of range'))).toBeUndefined();
});
