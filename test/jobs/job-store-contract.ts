import { beforeEach, describe, expect, it } from 'vitest';

import { FINE_TUNING, type FineTuningJob } from '../../src/fine-tuning/job.js';
import { newEvent, newJobId, UNFINISHED } from '../../src/jobs/job.js';
import { type JobStore, MAX_EVENTS } from '../../src/jobs/job-store.js';
import { FINGERPRINT, job } from '../fine-tuning/fixtures.js';

/** Opens a store that keeps `maxFinished` finished jobs of a tenant. */
type Open = (maxFinished?: number) => Promise<JobStore<FineTuningJob>>;

/** The contract of every `JobStore`. `makeStore` gives each test an empty place and a way to open it, more than once. */
export function describeJobStore(kind: string, makeStore: () => Promise<Open>): void {
  describe(`${kind} keeps the job store's contract`, () => {
    let open: Open;
    let store: JobStore<FineTuningJob>;
    beforeEach(async () => {
      open = await makeStore();
      store = await open();
    });

    it('gives back what was added and changed, also after it is opened again', async () => {
      const added = job();
      await store.add('t', added);
      expect(await store.get('t', added.id)).toEqual(added);
      const error = { code: 'a', message: 'b', param: null };
      const change = { status: 'failed', finished: 5, error, resultFiles: ['x'] } as const;
      expect(await store.change('t', added.id, UNFINISHED, change)).toEqual({ ...added, ...change });
      for (const opened of [store, await open()]) {
        expect(await opened.get('t', added.id)).toEqual({ ...added, ...change });
        expect(await opened.list('t', { limit: 5 })).toEqual({ data: [{ ...added, ...change }], hasMore: false });
      }
    });

    it('changes only what has one of the statuses: of those that end a job, one wins', async () => {
      const { id } = job();
      await store.add('t', job({ id }));
      expect(await store.change('t', id, ['running'], { status: 'succeeded' })).toBeUndefined();
      const ends = (['succeeded', 'failed', 'cancelled'] as const).map((status) =>
        store.change('t', id, UNFINISHED, { status }),
      );
      const winners = (await Promise.all(ends)).filter((ended) => ended !== undefined);
      expect(winners).toHaveLength(1);
      expect((await store.get('t', id))?.status).toBe(winners[0]?.status);
    });

    it('has nothing of another tenant, and nothing that no job can be called', async () => {
      const own = job();
      await store.add('t', own);
      for (const [tenant, id] of [
        ['T', own.id],
        ['other', own.id],
        ['t', newJobId(FINE_TUNING)],
        ['t', '../../t'],
        ['t', ''],
      ] as const) {
        expect(await store.get(tenant, id)).toBeUndefined();
        expect(await store.change(tenant, id, UNFINISHED, { status: 'failed' })).toBeUndefined();
        await store.addEvent(tenant, id, newEvent(FINE_TUNING, 1, { message: 'nobody hears this' }));
        expect(await store.events(tenant, id, { limit: 5 })).toEqual({ data: [], hasMore: false });
      }
      expect((await store.list('other', { limit: 10 })).data).toEqual([]);
    });

    it('lists page by page, newest first', async () => {
      const jobs = Array.from({ length: 5 }, (_, i) => job({ created: 10 - i }));
      for (const each of [...jobs].reverse()) await store.add('t', each);
      const first = await store.list('t', { limit: 3 });
      expect(first).toEqual({ data: jobs.slice(0, 3), hasMore: true });
      const second = await store.list('t', { limit: 3, after: jobs[2]!.id });
      expect(second).toEqual({ data: jobs.slice(3), hasMore: false });
      expect((await store.list('t', { limit: 2, after: newJobId(FINE_TUNING) })).data).toEqual([]);
    });

    it('forgets a job that is deleted, queued or not, with its events', async () => {
      const [queued, ended, other] = [job(), job(), job()];
      for (const each of [queued, ended, other]) await store.add('t', each);
      await store.change('t', ended.id, ['queued'], { status: 'succeeded' });
      await store.addEvent('t', queued.id, newEvent(FINE_TUNING, 1, { message: 'first' }));
      expect(await store.delete('other', queued.id)).toBe(false);
      for (const { id } of [queued, ended]) {
        expect(await store.delete('t', id)).toBe(true);
        expect(await store.delete('t', id)).toBe(false);
        await store.addEvent('t', id, newEvent(FINE_TUNING, 2, { message: 'nobody hears this' }));
        expect(await store.change('t', id, UNFINISHED, { status: 'running' })).toBeUndefined();
        expect(await store.events('t', id, { limit: 5 })).toEqual({ data: [], hasMore: false });
      }
      for (const opened of [store, await open()]) {
        expect(await opened.list('t', { limit: 5 })).toEqual({ data: [other], hasMore: false });
        expect(await opened.unfinished(FINGERPRINT)).toEqual([{ tenant: 't', id: other.id }]);
      }
      await store.add('t', job(), 2);
    });

    it('takes so many unfinished jobs of a tenant, and more when some have ended', async () => {
      const first = job();
      await store.add('t', first, 2);
      await store.add('t', job(), 2);
      await expect(store.add('t', job(), 2)).rejects.toMatchObject({ code: 'too_many_jobs' });
      await store.add('other', job(), 1);
      await store.change('t', first.id, ['queued'], { status: 'cancelled' });
      await store.add('t', job(), 2);
      await expect(store.add('third', job(), 0)).rejects.toMatchObject({ code: 'too_many_jobs' });
    });

    it('drops the oldest finished jobs of a tenant, and their events, when others come', async () => {
      const small = await open(2);
      const jobs = Array.from({ length: 6 }, (_, i) => job({ created: i }));
      const ids = jobs.map(({ id }) => id);
      const [waits, first, second, runs, third, last] = ids as [string, string, string, string, string, string];
      const others = job();
      await small.add('other', others);
      await small.change('other', others.id, ['queued'], { status: 'failed' });
      for (const each of jobs.slice(0, 5)) {
        await small.add('t', each, 5);
        await small.addEvent('t', each.id, newEvent(FINE_TUNING, 1, { message: 'first' }));
      }
      await small.change('t', runs, ['queued'], { status: 'running' });
      await small.change('t', third, ['queued'], { status: 'succeeded' });
      await small.change('t', second, ['queued'], { status: 'cancelled' });
      await small.change('t', first, ['queued'], { status: 'failed' });
      await small.add('t', jobs[5]!, 3);
      for (const opened of [small, await open(2)]) {
        const kept = (await opened.list('t', { limit: 9 })).data.map(({ id }) => id);
        expect(kept).toEqual([last, third, runs, second, waits]);
        expect((await opened.events('t', first, { limit: 9 })).data).toEqual([]);
        expect((await opened.events('t', second, { limit: 9 })).data).toHaveLength(1);
        expect((await opened.list('other', { limit: 9 })).data).toHaveLength(1);
      }
    });

    it('knows the unfinished jobs of a base model, of all tenants, oldest first', async () => {
      const [a, b, c, d] = [1, 2, 3, 4].map((created) => job({ created })) as [
        ReturnType<typeof job>,
        ReturnType<typeof job>,
        ReturnType<typeof job>,
        ReturnType<typeof job>,
      ];
      await store.add('Tenant', b);
      await store.add('t', a);
      await store.add('t', c);
      await store.add('t', d);
      await store.add('t', job({ fingerprint: 'e'.repeat(64) }));
      await store.change('t', a.id, ['queued'], { status: 'running' });
      await store.change('t', d.id, ['queued'], { status: 'finishing' });
      await store.change('t', c.id, ['queued'], { status: 'cancelled' });
      const expected = [
        { tenant: 't', id: a.id },
        { tenant: 'Tenant', id: b.id },
        { tenant: 't', id: d.id },
      ];
      for (const opened of [store, await open()]) expect(await opened.unfinished(FINGERPRINT)).toEqual(expected);
    });

    it('keeps the events of a job, the newest first and no more than so many', async () => {
      const { id } = job();
      await store.add('t', job({ id }));
      const event = (i: number) =>
        newEvent(FINE_TUNING, i, { type: 'metrics', message: `step ${i}`, data: { step: i, lr: 5e-5 } });
      const events = Array.from({ length: 5 }, (_, i) => event(i));
      for (const each of events) await store.addEvent('t', id, each);
      const newest = [...events].reverse();
      expect(await store.events('t', id, { limit: 3 })).toEqual({ data: newest.slice(0, 3), hasMore: true });
      const rest = await (await open()).events('t', id, { limit: 3, after: newest[2]!.id });
      expect(rest).toEqual({ data: newest.slice(3), hasMore: false });
      for (let i = 5; i < MAX_EVENTS + 20; i++) await store.addEvent('t', id, event(i));
      const all = (await store.events('t', id, { limit: 10 * MAX_EVENTS })).data;
      expect(all).toHaveLength(MAX_EVENTS);
      expect(all[0]?.message).toBe(`step ${MAX_EVENTS + 19}`);
    });
  });
}
