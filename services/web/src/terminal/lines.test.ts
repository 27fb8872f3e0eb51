import { describe, expect, test } from 'vitest';
import { Lines } from './lines';
import { rowCount, starts } from './wrap';

describe('rows', () => {
  test('break long lines, and are found again', () => {
    const lines = new Lines();
    lines.write(0, 0, 'abcdefghij', 0);
    lines.push();
    lines.push();
    lines.write(2, 0, 'xyz', 0);
    expect(lines.rows(4)).toBe(5);
    expect(lines.slice(1, 5).map(({ row, segments }) => [row, segments.map(({ text }) => text).join('')])).toEqual([
      [1, 'efgh'], [2, 'ij'], [3, ''], [4, 'xyz'],
    ]);
    expect(lines.rows(10)).toBe(3);
  });

  test('are counted anew where a line changed', () => {
    const lines = new Lines();
    lines.write(0, 0, 'ab', 0);
    lines.push();
    lines.write(1, 0, 'cd', 0);
    expect(lines.rows(2)).toBe(2);
    lines.write(0, 2, 'more', 0);
    expect(lines.rows(2)).toBe(4);
    lines.truncate(0, 1);
    expect(lines.rows(2)).toBe(2);
  });
});

describe('width', () => {
  test('wide characters take two columns, marks none, and none is cut', () => {
    expect(starts('世界世界', 4)).toEqual([0, 2]);
    expect(starts('世界世', 3)).toEqual([0, 1, 2]);
    expect(rowCount('e\u0301e\u0301', 2)).toBe(1);
    expect(starts('😀😀', 2)).toEqual([0, 2]);
    expect(rowCount('█'.repeat(40), 40)).toBe(1);
    expect(rowCount('a\tb', 8)).toBe(2);
  });
});
