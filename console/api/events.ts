import { ServerAway } from './errors.js';

/**
 * The events of an answer that is a stream, each parsed from JSON, in the order in which they arrive.
 * @throws ServerAway where the stream ends before its `[DONE]`
 */
export async function* eventsOf<T>(answer: Response): AsyncGenerator<T> {
  if (answer.body === null) throw new ServerAway('The answer is empty.');
  let rest = '';
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const events = (rest + value).split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) {
        const data = dataOf(event);
        if (data === '[DONE]') return;
        if (data !== '') yield JSON.parse(data) as T;
      }
    }
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new ServerAway('The connection was lost.');
  } finally {
    void reader.cancel().catch(() => undefined);
  }
  throw new ServerAway('The connection was lost.');
}

/** The data of one event; its other lines are comments. */
function dataOf(event: string): string {
  return event
    .split('\n')
    .filter((line) => line.startsWith('data:'))
    .map((line) => line.slice(5).trimStart())
    .join('\n');
}
