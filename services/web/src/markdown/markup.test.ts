import { expect, test } from 'vitest';
import { mark } from './markup';

const chosen = ({ text, from, to }: ReturnType<typeof mark>) => [text, text.slice(from, to)];

test('words are marked, and unmarked by doing it again', () => {
  const bold = mark('bold', 'a word here', 2, 6);
  expect(chosen(bold)).toEqual(['a **word** here', 'word']);
  expect(chosen(mark('bold', bold.text, bold.from, bold.to))).toEqual(['a word here', 'word']);
  expect(chosen(mark('code', '', 0, 0))).toEqual(['`code`', 'code']);
});

test('a link wants its address next', () => {
  expect(chosen(mark('link', 'see docs', 4, 8))).toEqual(['see [docs](https://)', 'https://']);
});

test('headings grow smaller and go; lines become items', () => {
  expect(['x', '# x', '## x', '### x'].map((text) => mark('heading', text, 1, 1).text)).toEqual(['# x', '## x', '### x', 'x']);
  const list = mark('list', 'a\nb\nc', 0, 3);
  expect(list.text).toBe('- a\n- b\nc');
  expect(mark('list', list.text, list.from, list.to).text).toBe('a\nb\nc');
});
