import { expect, test } from 'vitest';
import { rank } from './rank';

const commands = ['Dark theme', 'Runs', 'Run', 'API keys'].map((name) => ({ name, group: 'x', run: () => undefined }));
const names = (wanted: string) => rank(commands, wanted).map((command) => command.name);

test('the likeliest first, the others not at all', () => {
  expect(names('')).toHaveLength(4);
  expect(names('run')).toEqual(['Runs', 'Run']);
  expect(names('theme')).toEqual(['Dark theme']);
  expect(names('aky')).toEqual(['API keys']);
  expect(names('zzz')).toEqual([]);
});
