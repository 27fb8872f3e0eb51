import { describe, expect, test } from 'vitest';
import { type CellContent, type Content, normal, same } from './format';
import { merge } from './merge';

const cell = (id: string, source: string, more: Partial<CellContent> = {}) => ({ id, cell_type: 'code', source, metadata: {}, outputs: [], execution_count: null, ...more });
const notebook = (...cells: unknown[]): Content => normal({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
const texts = (content: Content) => content.cells.map((one) => `${one.id}=${one.source}`);

const base = notebook(cell('a', '1'), cell('b', '2'), cell('c', '3'));

describe('two sides of a notebook', () => {
  test('changes of different cells go together', () => {
    const { content, conflicts } = merge(base, notebook(cell('a', 'mine'), cell('b', '2'), cell('c', '3')), notebook(cell('a', '1'), cell('b', '2'), cell('c', 'theirs')));
    expect([texts(content), conflicts]).toEqual([['a=mine', 'b=2', 'c=theirs'], []]);
  });

  test('results of theirs and text of mine in the same cell go together', () => {
    const ran = cell('a', '1', { outputs: [{ output_type: 'stream', name: 'stdout', text: 'x' }], execution_count: 4, metadata: { execution: { t: 1 } } });
    const { content, conflicts } = merge(base, notebook(cell('a', 'mine', { metadata: { tags: ['x'] } }), cell('b', '2'), cell('c', '3')), notebook(ran, cell('b', '2'), cell('c', '3')));
    expect(conflicts).toEqual([]);
    expect(content.cells[0]).toMatchObject({ source: 'mine', execution_count: 4, outputs: [{ text: 'x' }], metadata: { tags: ['x'], execution: { t: 1 } } });
  });

  test('the same text changed twice is a question', () => {
    const { content, conflicts } = merge(base, notebook(cell('a', 'mine'), cell('b', '2'), cell('c', '3')), notebook(cell('a', 'theirs'), cell('b', '2'), cell('c', '3')));
    expect(conflicts).toEqual([{ id: 'a', mine: 'mine', theirs: 'theirs' }]);
    expect(texts(content)[0]).toBe('a=mine');
  });

  test('the same change on both sides is none', () => {
    const both = notebook(cell('a', 'x'), cell('b', '2'), cell('c', '3'));
    expect(merge(base, both, structuredClone(both)).conflicts).toEqual([]);
  });

  test('new cells of both stand where they were put', () => {
    const { content } = merge(base, notebook(cell('a', '1'), cell('m', 'mine'), cell('b', '2'), cell('c', '3')), notebook(cell('t', 'first'), cell('a', '1'), cell('b', '2'), cell('c', '3'), cell('u', 'last')));
    expect(content.cells.map((one) => one.id)).toEqual(['t', 'a', 'm', 'b', 'c', 'u']);
  });

  test('a deleted cell stays deleted, unless the other side wrote in it', () => {
    const { content } = merge(base, notebook(cell('c', '3')), notebook(cell('a', '1'), cell('b', 'theirs'), cell('c', '3')));
    expect(texts(content)).toEqual(['b=theirs', 'c=3']);
    expect(texts(merge(base, notebook(cell('a', '1'), cell('b', 'mine'), cell('c', '3')), notebook(cell('a', '1'), cell('c', '3'))).content)).toEqual(['a=1', 'b=mine', 'c=3']);
  });

  test('a move of theirs holds when nothing was moved here', () => {
    const { content } = merge(base, notebook(cell('a', 'mine'), cell('b', '2'), cell('c', '3')), notebook(cell('c', '3'), cell('a', '1'), cell('b', '2')));
    expect(texts(content)).toEqual(['c=3', 'a=mine', 'b=2']);
  });
});

describe('the format', () => {
  test('lists of lines become texts, ids are made and made unique', () => {
    const content = normal({ cells: [{ cell_type: 'markdown', source: ['a\n', 'b'], metadata: {} }, { id: 'x', cell_type: 'code', source: '1' }, { id: 'x', cell_type: 'code', source: '2' }] });
    expect(content.cells.map((one) => one.source)).toEqual(['a\nb', '1', '2']);
    expect(new Set(content.cells.map((one) => one.id)).size).toBe(3);
    expect(content.cells[1]).toMatchObject({ outputs: [], execution_count: null, metadata: {} });
  });

  test('what is not known is kept', () => {
    const strange = { cells: [{ id: 'a', cell_type: 'code', source: '', metadata: { deep: { x: [1] } }, outputs: [], execution_count: 3, later: { y: 1 } }], metadata: { kernelspec: { name: 'r' } }, nbformat: 4, nbformat_minor: 7, extra: true };
    expect(same(normal(strange), strange)).toBe(true);
  });

  test.each([null, 7, [], { cells: 'x' }, { cells: [null, 3] }])('%j is an empty notebook', (content) => expect(normal(content).cells).toEqual([]));
});
