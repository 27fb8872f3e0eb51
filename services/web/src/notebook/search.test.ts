import { expect, test } from 'vitest';
import { find, replaceAll } from './search';

const cells = [{ id: 'a', source: 'x = f(x)' }, { id: 'b', source: 'X.y' }];

test('places are found in every cell, signs mean themselves', () => {
  expect(find(cells, 'x', false)).toEqual([{ cell: 'a', from: 0, to: 1 }, { cell: 'a', from: 6, to: 7 }, { cell: 'b', from: 0, to: 1 }]);
  expect(find(cells, 'X', true)).toEqual([{ cell: 'b', from: 0, to: 1 }]);
  expect(find(cells, 'f(', false)).toEqual([{ cell: 'a', from: 4, to: 6 }]);
  expect(find(cells, '', false)).toEqual([]);
});

test('what is put in their place is taken as it is', () => {
  expect(replaceAll('a.b a.b', 'a.b', '$& $1', false)).toBe('$& $1 $& $1');
});
