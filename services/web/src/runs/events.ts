/** An execution's live events: read from any point, resumed after any cut, each told once and in order. */
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { ApiProblem } from '../api/problem';
import type { Execution, Status } from '../api/schema';

export type RunEvent =
  | { type: 'status'; status: Status; waiting_for_input?: boolean }
  | { type: 'stdout' | 'stderr'; text: string }
  | { type: 'display'; output: unknown }
  | { type: 'end'; execution: Execution };

export type Link = 'connecting' | 'live' | 'cut' | 'done';

export interface Listener {
  event(event: RunEvent): void;
  /** What was told so far no longer counts: another attempt begins. */
  restart(): void;
  link(link: Link): void;
}

export interface Source {
  /** Opens the stream after the event of that id, or at the beginning. Throws an `ApiProblem` for a refusal. */
  open(after: string | null, signal: AbortSignal): Promise<ReadableStream<Uint8Array>>;
  /** Resolves after so many milliseconds, earlier when it is worth trying now; rejects when aborted. */
  pause(ms: number, signal: AbortSignal): Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5_000;
/** The server says something every 15 s; after this silence the connection is dead. */
const SILENCE_MS = 40_000;

/** What was told last; kept by whoever wants to go on later. */
export type Place = { after: string | null };

/** Follows to the end. Gives up only for what waiting does not mend, by throwing. */
export async function follow(source: Source, listener: Listener, signal: AbortSignal, place: Place = { after: null }): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    listener.link(place.after === null ? 'connecting' : 'cut');
    const attempt = new AbortController();
    const stop = () => attempt.abort(signal.reason);
    signal.addEventListener('abort', stop);
    try {
      const stream = await source.open(place.after, attempt.signal);
      for await (const message of messages(stream, attempt)) {
        pause = FIRST_PAUSE_MS;
        const before = place.after === null ? 0 : attemptOf(place.after);
        if (before > 0 && attemptOf(message.id) > before) listener.restart();
        place.after = message.id;
        listener.link('live');
        const event = parse(message.name, message.data);
        if (event) listener.event(event);
        if (event?.type === 'end') {
          listener.link('done');
          return;
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof ApiProblem && error.status === 400 && place.after !== null) {
        place.after = null; // the server does not know where we were: from the beginning
        listener.restart();
      } else if (error instanceof ApiProblem && !passing(error)) {
        throw error;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      attempt.abort();
    }
    if (signal.aborted) return;
    listener.link('cut');
    await source.pause(pause, signal).catch(() => undefined);
    pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
  }
}

function passing(problem: ApiProblem): boolean {
  return problem.unreached || problem.status === 429 || problem.status >= 500;
}

type Message = { id: string; name: string; data: string };

async function* messages(stream: ReadableStream<Uint8Array>, attempt: AbortController): AsyncGenerator<Message> {
  let silence: ReturnType<typeof setTimeout> | undefined;
  const heard = () => {
    clearTimeout(silence);
    silence = setTimeout(() => attempt.abort(), SILENCE_MS);
  };
  heard();
  const ears = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      heard();
      controller.enqueue(chunk);
    },
  });
  const reader = stream
    .pipeThrough(ears, { signal: attempt.signal })
    .pipeThrough(new TextDecoderStream() as unknown as ReadableWritablePair<string, Uint8Array>)
    .pipeThrough(new EventSourceParserStream())
    .getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      if (value.id) yield { id: value.id, name: value.event ?? 'message', data: value.data };
    }
  } finally {
    clearTimeout(silence);
    reader.cancel().catch(() => undefined); // it may be broken already, which is why we leave
  }
}

/** Of an event whose kind this version does not know, nothing. */
function parse(name: string, data: string): RunEvent | null {
  const body: unknown = JSON.parse(data);
  switch (name) {
    case 'status':
      return { type: 'status', ...(body as { status: Status; waiting_for_input?: boolean }) };
    case 'stdout':
    case 'stderr':
      return { type: name, text: (body as { text: string }).text };
    case 'display':
      return { type: 'display', output: body };
    case 'end':
      return { type: 'end', execution: body as Execution };
    default:
      return null;
  }
}

/** Ids are `<attempt>-<sequence>`. */
function attemptOf(id: string): number {
  return Number.parseInt(id, 10) || 0;
}
