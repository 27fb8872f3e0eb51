import { describe, expect, test } from 'vitest';
import { ApiProblem } from '../api/problem';
import { follow, type Link, type RunEvent, type Source } from './events';

const END = { id: 'x', status: 'succeeded' };
type Step = string[] | Error;

/** A server that answers each connection with the next step; each text is a chunk as it comes over the network. */
class Server implements Source {
  readonly asked: (string | null)[] = [];
  readonly pauses: number[] = [];
  constructor(private readonly steps: Step[]) {}

  async open(after: string | null): Promise<ReadableStream<Uint8Array>> {
    this.asked.push(after);
    const step = this.steps.shift();
    if (!step) throw new Error('asked too often');
    if (step instanceof Error) throw step;
    return new ReadableStream({
      start(controller) {
        for (const chunk of step) controller.enqueue(new TextEncoder().encode(chunk));
        controller.close();
      },
    });
  }

  async pause(ms: number): Promise<void> {
    this.pauses.push(ms);
  }
}

function event(id: string, name: string, data: unknown): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

async function told(server: Server): Promise<{ events: RunEvent[]; links: Link[]; restarts: number }> {
  const events: RunEvent[] = [];
  const links: Link[] = [];
  let restarts = 0;
  const listener = { event: (one: RunEvent) => events.push(one), link: (link: Link) => links.push(link), restart: () => (restarts += 1) };
  await follow(server, listener, new AbortController().signal);
  return { events, links, restarts };
}

const text = (events: RunEvent[]) => events.map((one) => ('text' in one ? one.text : one.type)).join('|');

describe('following a run', () => {
  test('from the beginning to the end', async () => {
    const server = new Server([[event('0-0', 'status', { status: 'queued' }), event('1-1', 'stdout', { text: 'a' }), ': quiet\n\n', event('1-2', 'end', END)]]);
    const { events, links } = await told(server);
    expect(text(events)).toBe('status|a|end');
    expect(links.at(-1)).toBe('done');
    expect(server.asked).toEqual([null]);
  });

  test('chunks that cut events and characters are put together', async () => {
    const whole = event('1-1', 'stdout', { text: 'héllo 世界' }) + event('1-2', 'end', END);
    const bytes = new TextEncoder().encode(whole);
    const server = new Server([]);
    server.open = async () =>
      new ReadableStream({
        start(controller) {
          for (let at = 0; at < bytes.length; at += 3) controller.enqueue(bytes.slice(at, at + 3));
          controller.close();
        },
      });
    expect(text((await told(server)).events)).toBe('héllo 世界|end');
  });

  test('a cut is resumed after the last whole event', async () => {
    const server = new Server([
      [event('1-1', 'stdout', { text: 'a' }), 'id: 1-2\nevent: stdout\ndata: {"te'],
      new ApiProblem(503, 'unavailable', 'stopping'),
      ApiProblem.unreachable(),
      [event('1-2', 'stdout', { text: 'b' }), event('1-3', 'end', END)],
    ]);
    const { events, links } = await told(server);
    expect(text(events)).toBe('a|b|end');
    expect(server.asked).toEqual([null, '1-1', '1-1', '1-1']);
    expect(links).toContain('cut');
    expect(server.pauses).toEqual([250, 500, 1_000]);
  });

  test('another attempt begins anew', async () => {
    const server = new Server([[event('1-1', 'stdout', { text: 'a' }), event('2-1', 'stdout', { text: 'b' }), event('2-2', 'end', END)]]);
    const { restarts } = await told(server);
    expect(restarts).toBe(1);
  });

  test('an id that the server does not know means from the beginning', async () => {
    const server = new Server([
      [event('1-1', 'stdout', { text: 'a' })],
      new ApiProblem(400, 'bad_request', 'unknown id'),
      [event('1-1', 'stdout', { text: 'a' }), event('1-2', 'end', END)],
    ]);
    const { restarts } = await told(server);
    expect([restarts, server.asked]).toEqual([1, [null, '1-1', null]]);
  });

  test('a refusal that waiting does not mend is told', async () => {
    const server = new Server([new ApiProblem(404, 'not_found', 'There is nothing here by that name.')]);
    await expect(told(server)).rejects.toThrow('nothing here');
  });

  test('kinds of a later version are passed over', async () => {
    const server = new Server([[event('1-1', 'weather', { sun: true }), event('1-2', 'end', END)]]);
    expect(text((await told(server)).events)).toBe('end');
  });
});
