import type { VNode } from 'preact';

import { firstLines, saveFile } from '../api/batches.js';
import { Notice } from '../ui/notice.js';
import { useLoaded } from '../ui/use-loaded.js';
import { readResult } from './results.js';

interface ResultListProps {
  readonly title: string;
  /** Id of the file of results. */
  readonly file: string;
  /** Name to save it by. */
  readonly name: string;
  /** Results in the file. */
  readonly total: number;
}

/** Results that are shown; all of them are in the file. */
const SHOWN = 50;

/** The first results of a file, by the requests' own ids, and the file to save. */
export function ResultList({ title, file, name, total }: ResultListProps): VNode {
  const { value: lines, problem } = useLoaded(() => firstLines(file, SHOWN), file);
  return (
    <section>
      <div class="title-row">
        <h3>{title}</h3>
        <button type="button" onClick={() => void saveFile(file, name)}>
          Save {name}
        </button>
      </div>
      {problem !== undefined && <Notice kind="problem">{problem}</Notice>}
      <dl class="results">
        {lines?.map((line, index) => {
          const { customId, texts } = readResult(line);
          return (
            <div key={index}>
              <dt>{customId}</dt>
              {texts.map((text, choice) => (
                <dd key={choice}>{text}</dd>
              ))}
            </div>
          );
        })}
      </dl>
      {total > SHOWN && (
        <p class="quiet">
          The first {SHOWN} of {total.toLocaleString()}.
        </p>
      )}
    </section>
  );
}
