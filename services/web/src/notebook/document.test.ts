import { describe, expect, test } from 'vitest';
import { Document } from './document.svelte';

function make(...sources: string[]): Document {
  return new Document({ cells: sources.map((source, at) => ({ id: `c${at}`, cell_type: 'code', source, metadata: {}, outputs: [], execution_count: null })), metadata: {}, nbformat: 4, nbformat_minor: 5 });
}
const texts = (document: Document) => document.cells.map((cell) => cell.source);

describe('cells', () => {
  test('are added, deleted, and come back', () => {
    const document = make('a', 'b', 'c');
    document.choose('c1');
    document.remove(document.chosen);
    expect([texts(document), document.at]).toEqual([['a', 'c'], 'c2']);
    document.undo();
    expect([texts(document), document.at]).toEqual([['a', 'b', 'c'], 'c1']);
    document.redo();
    expect(texts(document)).toEqual(['a', 'c']);
  });

  test('the last one is replaced by an empty one', () => {
    const document = make('a');
    document.remove(document.cells);
    expect(texts(document)).toEqual(['']);
    document.undo();
    expect(texts(document)).toEqual(['a']);
  });

  test('move up and down, several at once, not beyond the ends', () => {
    const document = make('a', 'b', 'c', 'd');
    document.choose('c1');
    document.choose('c2', true);
    document.move(1);
    expect(texts(document)).toEqual(['a', 'd', 'b', 'c']);
    document.move(1);
    expect(texts(document)).toEqual(['a', 'd', 'b', 'c']);
    document.move(-1);
    document.move(-1);
    document.move(-1);
    expect(texts(document)).toEqual(['b', 'c', 'a', 'd']);
    document.moveTo([document.cells[0] as never], 4);
    expect(texts(document)).toEqual(['c', 'a', 'd', 'b']);
  });

  test('are split and joined again, and both can be undone', () => {
    const document = make('a\nb', 'c');
    document.split(document.cells[0] as never, 2);
    expect([texts(document), document.index]).toEqual([['a', 'b', 'c'], 1]);
    document.join(document.cells);
    expect(texts(document)).toEqual(['a\nb\nc']);
    document.undo();
    document.undo();
    expect(texts(document)).toEqual(['a\nb', 'c']);
  });

  test('a text that was written after a step is not undone with it', () => {
    const document = make('a', 'b');
    document.remove([document.cells[1] as never]);
    document.write(document.cells[0] as never, 'written');
    document.undo();
    expect(texts(document)).toEqual(['written', 'b']);
  });

  test('code that becomes Markdown leaves its outputs, and has them back by undo', () => {
    const document = new Document({ cells: [{ id: 'x', cell_type: 'code', source: '1', metadata: {}, outputs: [{ output_type: 'stream', name: 'stdout', text: '1' }], execution_count: 2 }] });
    document.turn(document.cells, 'markdown');
    expect(document.content().cells[0]).toEqual({ id: 'x', cell_type: 'markdown', source: '1', metadata: {} });
    document.undo();
    expect(document.content().cells[0]).toMatchObject({ cell_type: 'code', execution_count: 2, outputs: [{ text: '1' }] });
  });

  test('content taken from elsewhere keeps the cells that are known', () => {
    const document = make('a', 'b');
    const [, second] = document.cells;
    const content = document.content();
    document.take({ ...content, cells: [...content.cells.slice(1), { ...content.cells[0], id: 'new', source: 'n' } as never] });
    expect([document.cells[0] === second, texts(document), document.at]).toEqual([true, ['b', 'n'], 'c1']);
  });

  test('collapsing is kept as Jupyter keeps it', () => {
    const document = make('a');
    const [cell] = document.cells;
    cell?.hideOutputs(true);
    expect(cell?.metadata).toEqual({ collapsed: true, jupyter: { outputs_hidden: true } });
    cell?.hideOutputs(false);
    expect(cell?.metadata).toEqual({});
  });
});
