import { expect, test } from 'vitest';
import { bindingOf, nameOf } from './keys';

const press = (key: string, held: Partial<KeyboardEvent> = {}) => nameOf({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...held } as KeyboardEvent);

test('keys have one name, with Cmd as Control', () => {
  expect([press('Enter', { metaKey: true }), press('M', { shiftKey: true }), press(' '), press('ArrowUp', { altKey: true })]).toEqual(['Control Enter', 'Shift m', 'Space', 'Alt ArrowUp']);
});

test('double keys need both, soon after each other', () => {
  expect(bindingOf('d', null, true)).toBeNull();
  expect(bindingOf('d', { name: 'd', ago: 100 }, true)?.about).toBe('Delete');
  expect(bindingOf('d', { name: 'd', ago: 5_000 }, true)).toBeNull();
  expect(bindingOf('d', { name: 'a', ago: 100 }, true)).toBeNull();
});

test('who may only read changes nothing', () => {
  expect([bindingOf('b', null, false), bindingOf('d', { name: 'd', ago: 1 }, false)]).toEqual([null, null]);
  expect(bindingOf('j', null, false)?.keys).toBe('j');
});
