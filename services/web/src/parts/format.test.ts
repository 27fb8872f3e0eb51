import { expect, test } from 'vitest';
import { bytes, duration, nearTime } from './format';

test('durations', () => {
  expect([0, 999, 1_500, 61_000, 120_000, 3_660_000, 5_529_600_000].map(duration)).toEqual(['0 ms', '999 ms', '1.50 s', '1 min 1 s', '2 min', '1 h 1 min', '1,536 h']);
});

test('sizes', () => {
  expect([0, 1_023, 1_024, 1_600, 268_435_456, 1_500 * 1024 ** 2].map(bytes)).toEqual(['0 B', '1023 B', '1 KiB', '1.6 KiB', '256 MiB', '1.5 GiB']);
});

test('times', () => {
  const now = Date.parse('2026-11-21T12:00:00Z');
  expect(nearTime('2026-11-21T11:59:58Z', now)).toBe('just now');
  expect(nearTime('2026-11-21T11:58:00Z', now)).toBe('2 min. ago');
  expect(nearTime('2026-11-21T14:00:00Z', now)).toBe('in 2 hr.');
});
