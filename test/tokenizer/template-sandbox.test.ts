import { describe, expect, it, onTestFinished } from 'vitest';

import { ChatTemplateError } from '../../src/tokenizer/chat-template.js';
import { type SandboxOptions, TemplateLimitError, TemplateSandbox } from '../../src/tokenizer/template-sandbox.js';

const messages = [
  { role: 'user', content: 'Hi' },
  { role: 'assistant', content: 'Ho', name: 'x' },
];
const chat = `{{ bos_token }}{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}`;
const endless = `{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}{% endfor %}{% endfor %}{% endfor %}`;

function sandbox(options?: SandboxOptions): TemplateSandbox {
  const made = new TemplateSandbox({ bos_token: '<s>' }, options);
  onTestFinished(() => made.dispose());
  return made;
}

describe('a template of a tenant', () => {
  it('makes the text of a conversation, with the tokens of the model', async () => {
    const { render } = bound(sandbox());
    expect(await render(chat, true)).toBe('<s><user>Hi<assistant>Ho<assistant>');
    expect(await render(chat, false)).toBe('<s><user>Hi<assistant>Ho');
    expect(await render(`{{ tools is none }}{{ documents is none }}`)).toBe('truetrue');
  });

  it('refuses conversations, and is refused where it is no Jinja', async () => {
    const { render, problemOf } = bound(sandbox());
    const refusing = `{{ raise_exception('Only the user speaks here.') }}`;
    await expect(render(refusing)).rejects.toThrow(new ChatTemplateError('Only the user speaks here.'));
    expect(await problemOf(refusing)).toBeUndefined();
    expect(await problemOf(chat)).toBeUndefined();
    expect(await problemOf('{% for %}')).toMatch(/^cannot be read: /);
    await expect(render('{{ unfinished')).rejects.toThrow(TemplateLimitError);
  });

  it('has nothing but what it is given: no names of the program that runs it', async () => {
    const { render } = bound(sandbox());
    const names = ['process', 'require', 'globalThis', 'module', 'parentPort', 'workerData', 'console', 'this'];
    const asked = names.map((name) => `{{ ${name} is defined }}`).join('');
    expect(await render(asked)).toBe('false'.repeat(names.length));
    for (const way of ['messages.constructor', `''.constructor`, `messages['__proto__']`, 'range.constructor']) {
      const text = await render(`{{ ${way} }}`).catch((error: Error) => error.constructor.name);
      expect(['', 'ChatTemplateError', 'undefined']).toContain(text);
    }
  });

  it('is ended when it does not end, and others go on', async () => {
    const made = sandbox({ timeoutMs: 3000 });
    const { render } = bound(made);
    const [slow, other] = await Promise.allSettled([render(endless), made.render(chat, 'other', messages, false)]);
    expect(slow).toMatchObject({ reason: new TemplateLimitError('takes longer than 3000 ms') });
    expect(other).toMatchObject({ status: 'fulfilled' });
    expect(await render(chat, false)).toBe('<s><user>Hi<assistant>Ho');
  });

  it('may not fill the memory, nor write without end', async () => {
    const { render } = bound(sandbox({ timeoutMs: 60_000, maxCharacters: 1000 }));
    const doubled = `{% set ns = namespace(t='xxxxxxxxxxxxxxxx') %}{% for i in range(8) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}{{ ns.t }}`;
    await expect(render(doubled)).rejects.toThrow(new TemplateLimitError('writes more than 1000 characters'));
    await expect(render(`{{ range(1000000000) }}`)).rejects.toThrow(TemplateLimitError);
    const nested = `{% set ns = namespace(a=['x']) %}{% for i in range(40) %}{% set ns.a = [ns.a, ns.a] %}{% endfor %}{{ ns.a | tojson }}`;
    await expect(render(nested)).rejects.toThrow();
    expect(await render(chat, false)).toBe('<s><user>Hi<assistant>Ho');
  });
});

it('is not refused to one tenant for what another has done with it', async () => {
  const made = sandbox({ maxCharacters: 1000 });
  const long = [{ role: 'user', content: 'x'.repeat(2000) }];
  await expect(made.render(chat, 'hostile', long, false)).rejects.toThrow(TemplateLimitError);
  await expect(made.render(chat, 'hostile', messages, false)).rejects.toThrow(TemplateLimitError);
  expect(await made.render(chat, 'other', messages, false)).toBe('<s><user>Hi<assistant>Ho');
});

function bound(made: TemplateSandbox): {
  render: (template: string, opensAnswer?: boolean) => Promise<string>;
  problemOf: (template: string) => Promise<string | undefined>;
} {
  return {
    render: (template, opensAnswer = true) => made.render(template, 't', messages, opensAnswer),
    problemOf: (template) => made.problemOf(template, 't'),
  };
}
