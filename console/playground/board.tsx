import type { VNode } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

import type { Me } from '../api/types.js';
import { hrefOf, replaceQuery } from '../app/route.js';
import { CopyButton } from '../ui/copy-button.js';
import { createStore, useStore } from '../ui/store.js';
import type { Answer } from './answer.js';
import { CodeDialog } from './code-dialog.js';
import { Column } from './column.js';
import { converse } from './conversation.js';
import { kept, type Kept } from './kept.js';
import { ParameterFields } from './parameter-fields.js';
import { type Run, runCompletions } from './run.js';
import { MAX_COLUMNS, type Setup, toQuery } from './setup.js';

interface BoardProps {
  readonly models: readonly string[];
  readonly me: Me;
  readonly state: Kept;
}

const NO_ANSWERS = createStore<readonly Answer[]>([]);

/** The prompt, its parameters, and the columns of answers. */
export function Board({ models, me, state }: BoardProps): VNode {
  const { chat: isChat, architecture } = me.base_model;
  const { setup, exchanges } = state;
  const [run, setRun] = useState<Run>();
  const [running, setRunning] = useState(false);
  const [coloured, setColoured] = useState(true);
  const [showsCode, setShowsCode] = useState(false);
  const stopAll = useRef<() => void>(() => undefined);
  const answers = useStore(run?.answers ?? NO_ANSWERS);
  useEffect(() => () => stopAll.current(), []);
  const change = (changes: Partial<Setup>): void => kept.set({ setup: { ...setup, ...changes }, exchanges });
  const setModels = (next: readonly string[]): void => {
    stopAll.current();
    setRun(undefined);
    kept.set({ setup: { ...setup, models: next }, exchanges: [] });
  };
  const go = async (): Promise<void> => {
    if (running || setup.models.length === 0) return;
    replaceQuery('playground', toQuery(setup));
    setRunning(true);
    if (isChat)
      await converse(state, coloured, {
        started: setRun,
        stopper: (stop) => (stopAll.current = stop),
        ended: (said, exchanges) => {
          // The next message may be half typed, and parameters changed, while this one was answered.
          const now = kept.get()?.setup ?? setup;
          const prompt = now.prompt === setup.prompt ? '' : now.prompt;
          kept.set({ setup: { ...now, said, prompt }, exchanges });
        },
      });
    else {
      const next = runCompletions(setup, coloured);
      stopAll.current = next.stop;
      setRun(next);
      await next.ended;
    }
    setRunning(false);
  };
  const span = Math.max(...answers.flatMap(({ arrivals }) => arrivals.at(-1) ?? 0), 1);
  const link = (): string => new URL(hrefOf('playground', toQuery(setup)), location.href).href;
  return (
    <div class="playground">
      <h1 class="visually-hidden">Playground</h1>
      <form
        class="ask"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          void go();
        }}
      >
        <label for="prompt">{isChat ? 'Message' : architecture === 'decoder' ? 'Prompt' : 'Source'}</label>
        <textarea
          id="prompt"
          rows={Math.min(8, Math.max(2, setup.prompt.split('\n').length))}
          value={setup.prompt}
          spellcheck={false}
          placeholder={placeholderOf(me)}
          onInput={({ currentTarget }) => change({ prompt: currentTarget.value })}
          onKeyDown={(event) => {
            if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            void go();
          }}
        />
        <div class="toolbar">
          {running ? (
            <button type="button" class="primary" onClick={() => stopAll.current()}>
              Stop
            </button>
          ) : (
            <button type="submit" class="primary" title="Ctrl + Enter">
              {isChat ? 'Send' : 'Run'} <kbd aria-hidden="true">Ctrl ↵</kbd>
            </button>
          )}
          <label class="check">
            <input
              type="checkbox"
              checked={coloured}
              onChange={({ currentTarget }) => setColoured(currentTarget.checked)}
            />
            Probabilities
          </label>
          {isChat && setup.said.length > 0 && (
            <button
              type="button"
              class="quiet-button"
              onClick={() => {
                setRun(undefined);
                kept.set({ setup: { ...setup, said: [] }, exchanges: [] });
              }}
            >
              New conversation
            </button>
          )}
          <span class="spring" />
          <CopyButton text={link} label="Copy link" isQuiet />
          <button type="button" class="quiet-button" onClick={() => setShowsCode(true)}>
            Show code
          </button>
        </div>
        <ParameterFields setup={setup} change={change} isChat={isChat} />
      </form>
      {answers.length === 0 && exchanges.length === 0 && (
        <p class="lead">
          One frozen model, and a prefix of its own in each column. They answer together, from the same batch: press{' '}
          {isChat ? 'Send' : 'Run'}.
        </p>
      )}
      <p class="visually-hidden" role="status">
        {statusOf(running, answers)}
      </p>
      <div class="columns" style={{ '--columns': setup.models.length }}>
        {setup.models.map((model, index) => (
          <Column
            key={index}
            number={index + 1}
            model={model}
            models={models}
            answer={answers[index]}
            exchanges={exchanges[index] ?? []}
            said={isChat ? run?.setup.prompt : undefined}
            span={span}
            coloured={coloured}
            choose={(next) => setModels(setup.models.map((one, at) => (at === index ? next : one)))}
            remove={setup.models.length > 1 ? () => setModels(setup.models.filter((_, at) => at !== index)) : undefined}
          />
        ))}
        {setup.models.length < MAX_COLUMNS && (
          <button
            type="button"
            class="add-column"
            onClick={() => setModels([...setup.models, nextModel(models, setup.models)])}
          >
            <span aria-hidden="true">+</span>
            <span class="visually-hidden">Add a column</span>
          </button>
        )}
      </div>
      {showsCode && (
        <CodeDialog setup={setup} needsKey={me.needs_key} isChat={isChat} close={() => setShowsCode(false)} />
      )}
    </div>
  );
}

/** A model that has no column yet, or else the base model. */
function nextModel(models: readonly string[], shown: readonly string[]): string {
  return models.find((model) => !shown.includes(model)) ?? models[0] ?? '';
}

function placeholderOf({ base_model: { architecture, chat } }: Me): string {
  if (chat) return 'Say something to all of them';
  return architecture === 'decoder' ? 'What the model is to go on from' : 'The text that the model reads';
}

/** What screen readers hear of a run. */
function statusOf(running: boolean, answers: readonly Answer[]): string {
  if (running) return `${answers.length} answers are being written.`;
  if (answers.length === 0) return '';
  const failed = answers.filter(({ status }) => status === 'failed').length;
  return failed === 0 ? `${answers.length} answers are finished.` : `${failed} of ${answers.length} answers failed.`;
}
