import { setImmediate as tick } from 'node:timers/promises';

import { describe, expect, it } from 'vitest';

import { StoreError } from '../../src/lib/store-error.js';
import { PrefixError } from '../../src/prefix/errors.js';
import { toBatch } from '../../src/server/batches/response.js';
import { MemoryRateLimiter } from '../../src/tenancy/memory-rate-limiter.js';
import type { RateLimiter } from '../../src/tenancy/rate-limiter.js';
import { batchHouse, requestLine, type ResultLine } from './house.js';

const ids = (lines: readonly ResultLine[]): string[] => lines.map(({ custom_id }) => custom_id).sort();
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `r${i}`);
const requests = (count: number): string[] => names(count).map((name) => requestLine(name));
const textOf = ({ custom_id, response }: ResultLine): string => `${custom_id} ${response?.body.choices[0]?.text}`;

describe('a batch', () => {
  it('has an answer for each good line, an error for each bad one, and leaves nothing else', async () => {
    const house = await batchHouse();
    const { id } = await house.create([
      requestLine('good'),
      requestLine('unknown', { model: 'nobody' }),
      requestLine('field', { wombat: 1 }),
      requestLine('body', 'text'),
      requestLine('stream', { stream: true }),
      requestLine('long', { max_tokens: 1000 }),
      requestLine('good'),
      '',
      requestLine('two', { n: 2, logprobs: 1 }),
      requestLine('zero', { max_tokens: 0 }),
      '{"custom_id":"proto","method":"POST","url":"/v1/completions","body":{"model":"tiny","prompt":"a","__proto__":{"n":2}}}',
    ]);
    expect(await house.work(id)).toBe('done');
    const { batch, output, errors } = await house.ended(id);
    expect(ids(output)).toEqual(['good', 'two', 'zero']);
    expect(output[0]).toMatchObject({
      response: { status_code: 200, body: { object: 'text_completion' } },
      error: null,
    });
    expect(output.find(({ custom_id }) => custom_id === 'two')?.response?.body.choices).toHaveLength(2);
    const told = errors.map(({ custom_id, response, error }) => [
      custom_id,
      response?.status_code ?? null,
      error?.code ?? response?.body.error.code,
      response?.body.error.param ?? null,
    ]);
    expect(told.sort()).toEqual([
      ['body', 400, 'invalid_type', 'body'],
      ['field', 400, 'unknown_parameter', 'wombat'],
      ['good', null, 'duplicate_custom_id', null],
      ['long', 400, 'context_length_exceeded', 'prompt'],
      ['proto', 400, 'unknown_parameter', '__proto__'],
      ['stream', 400, 'invalid_value', 'stream'],
      ['unknown', 404, 'model_not_found', 'model'],
    ]);
    expect(new Set([...output, ...errors].map((line) => line.id)).size).toBe(10);
    const shown = toBatch(batch, 'tiny');
    expect(shown).toMatchObject({
      status: 'completed',
      request_counts: { total: 10, completed: 3, failed: 7 },
      errors: null,
      usage: { input_tokens: 14, output_tokens: 12, total_tokens: 26 },
    });
    for (const at of [shown.in_progress_at, shown.finalizing_at, shown.completed_at]) expect(at).toBeGreaterThan(0);
    for (const at of [shown.failed_at, shown.expired_at, shown.cancelling_at, shown.cancelled_at])
      expect(at).toBeNull();
    expect(house.submitted.every(({ priority }) => priority === 'background')).toBe(true);
    expect([house.ends, await house.leftOnDisk()]).toEqual([['completed', 'succeeded'], []]);
    // Delivered once more, it is done already.
    expect(await house.work(id)).toBe('done');
    expect(house.submitted).toHaveLength(4); // two are choices of one
  });

  it('fails with line and field where its file is not one of requests, and does nothing', async () => {
    const house = await batchHouse();
    const { id } = await house.create([requestLine('a'), 'no json', requestLine('b', {}, '/v1/chat/completions')]);
    expect(await house.work(id)).toBe('done');
    const { batch } = await house.ended(id);
    expect(toBatch(batch, 'tiny')).toMatchObject({
      status: 'failed',
      failed_at: expect.any(Number),
      in_progress_at: null,
      errors: {
        object: 'list',
        data: [
          { code: 'invalid_json_line', line: 2, param: null },
          { code: 'invalid_value', line: 3, param: 'url' },
        ],
      },
    });
    expect([house.submitted, house.ends, await house.leftOnDisk()]).toEqual([[], ['failed'], []]);
  });

  it('fails where its file was deleted before it began, and needs it no more afterwards', async () => {
    const house = await batchHouse();
    const lost = await house.create(requests(1));
    await house.files.delete('t', lost.inputFile);
    await house.work(lost.id);
    expect(toBatch((await house.ended(lost.id)).batch, 'tiny')).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'file_not_found', param: 'input_file_id' }] },
    });
    const kept = await house.create(requests(20));
    const leaving = new AbortController();
    house.runner.beforeStep = async () => {
      if (house.submitted.length < 10) return;
      await house.files.delete('t', kept.inputFile).catch(() => undefined);
      leaving.abort();
    };
    expect(await house.work(kept.id, leaving.signal)).toBe('interrupted');
    expect(await house.work(kept.id)).toBe('done');
    expect(ids((await house.ended(kept.id)).output)).toEqual(names(20).sort());
  });

  it('goes on where it was interrupted, again and again, with no line lost, none twice and the same answers', async () => {
    const [alone, house] = [await batchHouse(), await batchHouse()];
    const [whole, { id }] = [await alone.create(requests(40)), await house.create(requests(40))];
    await alone.work(whole.id);
    let rounds = 0;
    for (let outcome = 'interrupted'; outcome === 'interrupted'; rounds++) {
      const leaving = new AbortController();
      const upTo = house.submitted.length + 12;
      house.runner.beforeStep = () => {
        if (house.submitted.length >= upTo) leaving.abort();
      };
      outcome = await house.work(id, leaving.signal);
      expect(house.engine.stats()).toMatchObject({ waiting: 0 });
    }
    expect(rounds).toBeGreaterThan(2);
    const [{ output: expected, batch: once }, { output, batch }] = [await alone.ended(whole.id), await house.ended(id)];
    expect(output.map(textOf).sort()).toEqual(expected.map(textOf).sort());
    expect(output).toHaveLength(40);
    expect(batch.counts).toEqual(once.counts);
  });

  it('keeps what is done when it is cancelled', async () => {
    const house = await batchHouse();
    const { id } = await house.create(requests(500));
    let isStopped = false;
    house.runner.beforeStep = async () => {
      if (house.submitted.length < 30 || isStopped) return;
      isStopped = true;
      await house.service.stop('t', id);
      await house.untilLooked();
    };
    expect(await house.work(id)).toBe('done');
    const { batch, output, errors } = await house.ended(id);
    expect(toBatch(batch, 'tiny')).toMatchObject({
      status: 'cancelled',
      cancelled_at: expect.any(Number),
      cancelling_at: expect.any(Number),
      completed_at: null,
      request_counts: { total: 500, completed: output.length, failed: 0 },
    });
    expect(output.length).toBeGreaterThan(10);
    expect(output.length).toBeLessThan(500);
    expect(errors).toEqual([]);
    await expect(house.service.stop('t', id)).rejects.toMatchObject({ code: 'job_finished' });
    expect(house.ends).toEqual(['cancelled', 'succeeded']);
  });

  it('is cancelled at once where nobody has begun with it, and says twice that it is cancelling', async () => {
    const house = await batchHouse();
    const queued = await house.create(requests(3));
    expect(toBatch(await house.service.stop('t', queued.id), 'tiny').status).toBe('cancelled');
    expect(await house.work(queued.id)).toBe('done');
    expect(house.submitted).toEqual([]);
    const { id } = await house.create(requests(300));
    const statuses: string[] = [];
    house.runner.beforeStep = async () => {
      if (house.submitted.length < 20 || statuses.length === 2) return;
      statuses.push(toBatch(await house.service.stop('t', id), 'tiny').status);
    };
    await house.work(id);
    expect(statuses).toEqual(['cancelling', 'cancelling']);
  });

  it('ends when its time is over, with errors for the rest', async () => {
    let passed = 0;
    const house = await batchHouse({ now: () => Date.now() + passed });
    const { id } = await house.create([...requests(300), requestLine('r0')]);
    house.runner.beforeStep = async () => {
      if (house.submitted.length < 30 || passed > 0) return;
      passed = 24 * 3600 * 1000;
      await house.untilLooked();
    };
    expect(await house.work(id)).toBe('done');
    const { batch, output, errors } = await house.ended(id);
    expect(toBatch(batch, 'tiny')).toMatchObject({ status: 'expired', expired_at: expect.any(Number) });
    expect(output.length).toBeGreaterThan(10);
    expect(ids([...output, ...errors])).toEqual([...names(300), 'r0'].sort());
    expect(errors.every(({ response }) => response === null)).toBe(true);
    const codes = new Set(errors.map(({ error }) => error?.code));
    expect(codes).toEqual(new Set(['batch_expired', 'duplicate_custom_id']));
    expect(batch.counts).toMatchObject({ completed: output.length, failed: errors.length });
  });

  it('has no more lines under way than the window, and gives its slots back in the end', async () => {
    const house = await batchHouse({ window: 3 });
    const { id } = await house.create(requests(30));
    let most = 0;
    house.runner.beforeStep = () => {
      const { waiting, running } = house.engine.stats();
      most = Math.max(most, waiting + running);
    };
    await house.work(id);
    expect(most).toBe(3);
    expect((await house.ended(id)).output).toHaveLength(30);
  });

  it('shares the window with other tenants, line by line', async () => {
    const house = await batchHouse({ window: 4 });
    const [first, second] = [await house.create(requests(100), 'a'), await house.create(requests(20), 'b')];
    const never = new AbortController().signal;
    await Promise.all([house.work(first.id, never, 'a'), house.work(second.id, never, 'b')]);
    const order = house.submitted.map(({ tenant }) => tenant);
    expect(order.filter((tenant) => tenant === 'a')).toHaveLength(100);
    expect(order.lastIndexOf('b')).toBeLessThan(60);
  });
});

describe('a line', () => {
  it('waits for its tenant’s rate limits instead of failing', async () => {
    const clock = 1000; // seconds go by as milliseconds
    const limiter = new MemoryRateLimiter(() => performance.now() * clock);
    let refusals = 0;
    const fast: RateLimiter = {
      take: async (tenant, limits, cost) => {
        const { refusal, ...admission } = await limiter.take(tenant, limits, cost);
        if (refusal === undefined) return admission;
        refusals++;
        const retryAfterMs = refusal.retryAfterMs === undefined ? undefined : refusal.retryAfterMs / clock;
        return { ...admission, refusal: { ...refusal, retryAfterMs } };
      },
    };
    // Each line takes 7 or 8 tokens.
    const house = await batchHouse({ limits: { tokensPerMinute: 20 }, deps: { limiter: fast } });
    const { id } = await house.create([...requests(12), requestLine('never', { max_tokens: 30 })]);
    await house.work(id);
    const { output, errors } = await house.ended(id);
    expect(refusals).toBeGreaterThan(3);
    expect(ids(output)).toEqual(names(12).sort());
    expect(errors).toMatchObject([{ custom_id: 'never', response: { status_code: 429 } }]);
  });

  it('waits for a store that is away, and for room in the queue', async () => {
    let loads = 0;
    const load = async () => {
      if (++loads === 1) throw new StoreError('prefixes', 'unavailable');
      throw new PrefixError('prefix_not_found', 'none');
    };
    const library = { nameOf: async (_: string, name: string) => name, load };
    const house = await batchHouse({ limits: { queueShare: 0.001 }, window: 20, deps: { library } });
    const { id } = await house.create([requestLine('away', { model: 'p' }), ...requests(30)]);
    await house.work(id);
    const { output, errors } = await house.ended(id);
    expect([ids(output), ids(errors), loads]).toEqual([names(30).sort(), ['away'], 2]);
    expect(errors[0]?.response?.status_code).toBe(404);
  });

  it('is tried again where the model failed, three times', async () => {
    const house = await batchHouse();
    let failures = 1;
    house.runner.beforeStep = () => {
      if (house.submitted.length >= 3 && failures-- > 0) throw new Error('no step');
    };
    const first = await house.create(requests(10));
    await house.work(first.id);
    expect((await house.ended(first.id)).output).toHaveLength(10);
    failures = Infinity;
    const second = await house.create(requests(2));
    await house.work(second.id);
    const { errors } = await house.ended(second.id);
    expect(errors.map(({ response }) => response?.status_code)).toEqual([500, 500]);
    house.runner.beforeStep = () => undefined;
    await tick();
  });
});

describe('who deletes a tenant', () => {
  it('ends its batches, and leaves nothing of them', async () => {
    const house = await batchHouse();
    const [running, queued] = [await house.create(requests(500)), await house.create(requests(2))];
    house.runner.beforeStep = async () => {
      if (house.submitted.length >= 30) await house.service.cancelAll('t');
    };
    expect(await house.work(running.id)).toBe('done');
    expect(await house.leftOnDisk()).toEqual([]);
    for (const { id } of [running, queued])
      expect(toBatch(await house.service.get('t', id), 'tiny')).toMatchObject({
        status: 'cancelled',
        output_file_id: null,
      });
    expect(await house.service.deleteAll('t')).toBe(2);
  });
});
