import { describe, expect, test } from 'vitest';
import { MOST_LINES, Screen } from './screen';
import { Palette } from './style';

function shown(...chunks: string[]): string {
  const screen = new Screen(new Palette());
  for (const chunk of chunks) screen.write('stdout', chunk);
  return screen.lines.plain();
}

function styled(...chunks: string[]) {
  const palette = new Palette();
  const screen = new Screen(palette);
  for (const chunk of chunks) screen.write('stdout', chunk);
  screen.lines.rows(80);
  return screen.lines.slice(0, 99).map(({ segments }) => segments.map(({ text, style }) => ({ text, ...palette.style(style) })));
}

describe('what a terminal shows', () => {
  test.each([
    ['lines', ['a\nb\n'], 'a\nb\n'],
    ['a carriage return writes over', ['10 %\r 9'], ' 9 %'],
    ['a progress bar in pieces', ['|  |', '\r', '|# |', '\r|##|'], '|##|'],
    ['windows line ends', ['a\r\nb'], 'a\nb'],
    ['a backspace', ['ab\bc'], 'ac'],
    ['cursor up, as several bars do', ['one\ntwo\n', '\x1b[2A\rONE\n'], 'ONE\ntwo\n'],
    ['the rest of a line erased', ['abcdef\r\x1b[Kx'], 'x'],
    ['a column chosen', ['abc\x1b[6Gd'], 'abc  d'],
    ['below erased', ['a\nb\nc\x1b[2A\r\x1b[J'], '\n\n'],
    ['a cleared screen scrolls away', ['old\n\x1b[2J\x1b[Hnew'], 'old\nnew'],
    ['unknown and private sequences', ['a\x1b[?25lb\x1b]0;title\x07c\x1b(Bd'], 'abcd'],
    ['a sequence cut in two', ['a\x1b[3', '1mb'], 'ab'],
    ['a title cut in two', ['a\x1b]0;ti', 'tle\x1b\\b'], 'ab'],
    ['a lone escape at the end', ['a\x1b'], 'a'],
    ['tabs', ['a\tb'], 'a\tb'],
    ['markup is text', ['<img src=x onerror=alert(1)>'], '<img src=x onerror=alert(1)>'],
  ])('%s', (_, chunks, expected) => {
    expect(shown(...chunks)).toBe(expected);
  });

  test('a cursor cannot leave upwards or far to the right', () => {
    expect(shown('a\x1b[99A\x1b[999999Cb').length).toBeLessThan(3_000);
  });
});

describe('colours', () => {
  test('begin and end where they do, also over old text', () => {
    const [[plain, red, rest]] = styled('ab\x1b[31mcd\x1b[0mef') as never as [[{ text: string; fg: unknown }, { text: string; fg: unknown }, { text: string }]];
    expect([plain.text, red.text, red.fg, rest.text]).toEqual(['ab', 'cd', 1, 'ef']);
    const [row] = styled('abcdef\r\x1b[32mxy');
    expect(row?.map(({ text, fg }) => [text, fg])).toEqual([['xy', 2], ['cdef', null]]);
  });

  test('256 and true colours, attributes and their ends', () => {
    const [row] = styled('\x1b[1;38;5;208ma\x1b[22;48;2;1;2;3mb\x1b[39;49mc');
    expect(row?.map(({ text, fg, bg, bold }) => [text, fg, bg, bold])).toEqual([
      ['a', 208, null, true],
      ['b', 208, '#010203', false],
      ['c', null, null, false],
    ]);
  });

  test('of one stream do not colour the other', () => {
    const palette = new Palette();
    const screen = new Screen(palette);
    screen.write('stdout', '\x1b[31mred');
    screen.write('stderr', 'err');
    screen.lines.rows(80);
    const [row] = screen.lines.slice(0, 1);
    expect(row?.segments.map(({ style }) => [palette.style(style).fg, palette.style(style).stderr])).toEqual([[1, false], [null, true]]);
  });
});

describe('much output', () => {
  test('keeps the newest, counts what went, and stays quick', () => {
    const screen = new Screen(new Palette());
    const begun = performance.now();
    for (let chunk = 0; chunk < 300; chunk += 1) {
      screen.write('stdout', Array.from({ length: 1_000 }, (_, line) => `line ${chunk * 1_000 + line}\n`).join(''));
      screen.lines.rows(120);
      screen.lines.slice(0, 60);
    }
    expect(performance.now() - begun).toBeLessThan(5_000);
    expect(screen.lines.length).toBeLessThanOrEqual(MOST_LINES);
    expect(screen.lines.dropped + screen.lines.length).toBe(300_001);
    expect(screen.lines.plain()).toContain('line 299999\n');
  });

  test('one endless line is broken to show, not to copy', () => {
    const screen = new Screen(new Palette());
    for (let chunk = 0; chunk < 100; chunk += 1) screen.write('stdout', 'x'.repeat(1_000));
    expect(screen.lines.length).toBeGreaterThan(1);
    expect(screen.lines.plain()).toBe('x'.repeat(100_000));
  });
});
