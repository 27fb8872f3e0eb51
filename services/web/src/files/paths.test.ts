import { expect, test } from 'vitest';
import { encode, faultOf, isWithin, join, nameOf, parentOf } from './paths';

test('parts of paths', () => {
  expect(['a', 'a/b', 'a/b/c'].map(parentOf)).toEqual(['', 'a', 'a/b']);
  expect(['a', 'a/b', 'a/b/c'].map(nameOf)).toEqual(['a', 'b', 'c']);
  expect([join('', 'a'), join('a/b', 'c')]).toEqual(['a', 'a/b/c']);
  expect([isWithin('a/b', 'a'), isWithin('ab', 'a'), isWithin('a', 'a'), isWithin('x', '')]).toEqual([true, false, true, true]);
});

test('every name can stand in an address', () => {
  expect(encode('a b/<img src=x>?#%.txt')).toBe('a%20b/%3Cimg%20src%3Dx%3E%3F%23%25.txt');
});

test('names that the server would refuse are told', () => {
  expect(faultOf('data/é.csv')).toBeNull();
  expect(['/a', 'a/', 'a/../b', '.', 'é'.repeat(128)].every((path) => faultOf(path) !== null)).toBe(true);
});
