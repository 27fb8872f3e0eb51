import { expect, test } from 'vitest';
import { isNumeric, readSheet } from './csv';

const rows = (text: string) => readSheet(text, 100, 100).rows;

test('quotes, line ends and empty fields', () => {
  expect(rows('a,b\r\n"x, ""y""\nz",\n,2')).toEqual([['a', 'b'], ['x, "y"\nz', ''], ['', '2']]);
  expect(rows('')).toEqual([]);
  expect(rows('one')).toEqual([['one']]);
});

test('the separator is found', () => {
  expect(rows('a;b;c\n1;2;3')).toEqual([['a', 'b', 'c'], ['1', '2', '3']]);
  expect(rows('a\tb\n1\t2')).toEqual([['a', 'b'], ['1', '2']]);
});

test('what is too long is cut, and says so', () => {
  expect(readSheet('a,b,c\n1,2,3\n4,5,6\n', 2, 2)).toEqual({ rows: [['a', 'b'], ['1', '2']], cut: true });
  expect(readSheet('a\n1\n', 2, 2).cut).toBe(false);
});

test('columns of figures are known', () => {
  const sheet = rows('name,share\nx,1.5\ny,-2e3\nz,');
  expect([isNumeric(sheet, 0), isNumeric(sheet, 1)]).toEqual([false, true]);
});
