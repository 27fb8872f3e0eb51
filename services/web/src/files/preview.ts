/** How a file can be looked at, by its name; its content decides whether it is text at all. */

export type Kind = 'text' | 'code' | 'notebook' | 'sheet' | 'image' | 'other';

const ENDINGS: [Kind, readonly string[]][] = [
  ['image', ['png', 'jpg', 'jpeg', 'gif', 'webp', 'bmp', 'ico', 'svg']],
  ['sheet', ['csv', 'tsv']],
  ['notebook', ['ipynb']],
  ['code', ['py', 'js', 'ts', 'sh', 'r', 'sql', 'html', 'css', 'c', 'h', 'rs', 'go', 'json', 'toml', 'yaml', 'yml', 'xml', 'ini', 'cfg']],
  ['text', ['txt', 'md', 'rst', 'log']],
];
const IMAGE_TYPES: Record<string, string> = { jpg: 'image/jpeg', ico: 'image/x-icon', svg: 'image/svg+xml' };

/** What is read of a file to show it: an image must be whole, of the rest the beginning does. */
export const MOST_TEXT_BYTES = 256 * 1024;
export const MOST_IMAGE_BYTES = 16 * 1024 * 1024;

export function endingOf(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return name.includes('.') ? name.slice(name.lastIndexOf('.') + 1).toLowerCase() : '';
}

export function kindOf(path: string): Kind {
  const ending = endingOf(path);
  return ENDINGS.find(([, endings]) => endings.includes(ending))?.[0] ?? 'other';
}

/** The media type of an image, from its name: the server calls everything a stream of bytes. */
export function imageType(path: string): string {
  const ending = endingOf(path);
  return IMAGE_TYPES[ending] ?? `image/${ending}`;
}

/** The text, or null when it is none: bytes that no text has, or no UTF-8 before the place where it was cut. */
export function readText(bytes: Uint8Array, cut: boolean): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
  } catch {
    return null;
  }
}
