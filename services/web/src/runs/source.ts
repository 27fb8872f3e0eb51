/** Where live events come from in a browser: `fetch`, with the caller's token in a header. */
import { authorized } from '../api/client';
import { ApiProblem } from '../api/problem';
import type { Source } from './events';

export function eventsOf(execution: string): Source {
  return {
    async open(after, signal) {
      const headers: Record<string, string> = { accept: 'text/event-stream' };
      if (after !== null) headers['last-event-id'] = after;
      // A machine that has left its network would wait for this connection in vain.
      const left = new AbortController();
      addEventListener('offline', () => left.abort(), { once: true, signal });
      const both = AbortSignal.any([signal, left.signal]);
      const response = await authorized(new Request(`/api/v1/executions/${execution}/events`, { headers, signal: both }));
      if (!response.ok || !response.body) throw await ApiProblem.of(response);
      return response.body;
    },
    pause(ms, signal) {
      return new Promise((resolve, reject) => {
        const done = () => {
          clearTimeout(timer);
          removeEventListener('online', done);
          signal.removeEventListener('abort', stop);
          resolve();
        };
        const stop = () => {
          clearTimeout(timer);
          removeEventListener('online', done);
          reject(new DOMException('left', 'AbortError'));
        };
        const timer = setTimeout(done, ms);
        addEventListener('online', done);
        signal.addEventListener('abort', stop, { once: true });
      });
    },
  };
}
