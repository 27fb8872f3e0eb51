import { beforeEach, describe, expect, test, vi } from 'vitest';
import { ApiProblem } from '../api/problem';
import { type Content, normal } from './format';
import { type Edited, Saving, type Store, type Stored } from './saving.svelte';

const notebook = (...sources: string[]): Content => normal({ cells: sources.map((source, at) => ({ id: `c${at}`, cell_type: 'code', source, metadata: {}, outputs: [], execution_count: null })), metadata: {} });

class Server implements Store {
  content: Content;
  revision = 1;
  writes = 0;
  down = false;
  constructor(content: Content) {
    this.content = content;
  }

  async read(known: string | null): Promise<Stored | null> {
    if (this.down) throw ApiProblem.unreachable();
    return known === String(this.revision) ? null : { content: structuredClone(this.content), etag: String(this.revision) };
  }

  async write(content: Content, etag: string): Promise<Stored> {
    if (this.down) throw ApiProblem.unreachable();
    if (etag !== String(this.revision)) throw new ApiProblem(412, 'stale', 'It was changed since.');
    this.put(content);
    return { content, etag: String(this.revision) };
  }

  put(content: Content): void {
    this.content = structuredClone(content);
    this.revision += 1;
    this.writes += 1;
  }

  get texts(): string[] {
    return this.content.cells.map((cell) => cell.source);
  }
}

class Page implements Edited {
  constructor(private now: Content) {}
  content(): Content {
    return this.now;
  }
  take(content: Content): void {
    this.now = content;
  }
  write(at: number, source: string): void {
    this.now = { ...this.now, cells: this.now.cells.map((cell, index) => (index === at ? { ...cell, source } : cell)) };
  }
  get texts(): string[] {
    return this.now.cells.map((cell) => cell.source);
  }
}

function start(...sources: string[]): { server: Server; page: Page; saving: Saving } {
  const server = new Server(notebook(...sources));
  const page = new Page(structuredClone(server.content));
  return { server, page, saving: new Saving(server, page, '1') };
}

describe('saving', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    return () => vi.useRealTimers();
  });

  test('soon after the last change, once for many', async () => {
    const { server, page, saving } = start('a');
    for (const text of ['ab', 'abc', 'abcd']) {
      page.write(0, text);
      saving.changed();
      await vi.advanceTimersByTimeAsync(300);
    }
    expect([server.writes, saving.standing]).toEqual([0, 'changed']);
    await vi.advanceTimersByTimeAsync(800);
    expect([server.writes, server.texts, saving.standing]).toEqual([1, ['abcd'], 'saved']);
  });

  test('who never stops typing is saved all the same', async () => {
    const { server, page, saving } = start('a');
    for (let at = 0; at < 12; at += 1) {
      page.write(0, `a${at}`);
      saving.changed();
      await vi.advanceTimersByTimeAsync(500);
    }
    expect(server.writes).toBeGreaterThan(0);
  });

  test('nothing is lost while the server is away', async () => {
    const { server, page, saving } = start('a');
    server.down = true;
    page.write(0, 'kept');
    saving.changed();
    await vi.advanceTimersByTimeAsync(5_000);
    expect([saving.standing, server.writes]).toEqual(['unreached', 0]);
    server.down = false;
    await vi.advanceTimersByTimeAsync(5_000);
    expect([saving.standing, server.texts]).toEqual(['saved', ['kept']]);
  });

  test('changes of two tabs in different cells go together', async () => {
    const { server, page, saving } = start('a', 'b');
    server.put(notebook('a', 'theirs'));
    page.write(0, 'mine');
    await saving.flush();
    expect([saving.standing, server.texts, page.texts]).toEqual(['saved', ['mine', 'theirs'], ['mine', 'theirs']]);
  });

  test('what is new on the server comes in, without a save', async () => {
    const { server, page, saving } = start('a', 'b');
    server.put(notebook('a', 'theirs'));
    await saving.pull();
    expect([page.texts, saving.standing, server.writes]).toEqual([['a', 'theirs'], 'saved', 1]);
  });

  test.each([
    ['mine', ['mine']],
    ['theirs', ['theirs']],
    ['both', ['mine', 'theirs']],
  ] as const)('the same text in two tabs is asked about: %s', async (answer, after) => {
    const { server, page, saving } = start('a');
    server.put(notebook('theirs'));
    page.write(0, 'mine');
    await saving.flush();
    expect([saving.standing, saving.conflicts, server.texts]).toEqual(['conflict', [{ id: 'c0', mine: 'mine', theirs: 'theirs' }], ['theirs']]);
    await saving.settle(new Map([['c0', answer]]));
    expect([saving.standing, server.texts, page.texts]).toEqual(['saved', after, after]);
  });

  test('what is written while a question is open is in the answer', async () => {
    const { server, page, saving } = start('a', 'b');
    server.put(notebook('theirs', 'b'));
    page.write(0, 'mine');
    await saving.flush();
    page.write(1, 'later');
    saving.changed();
    await saving.settle(new Map([['c0', 'theirs']]));
    expect(server.texts).toEqual(['theirs', 'later']);
  });
});
