/** Paths in a workspace: relative, normal, parts divided by `/`; the root is the empty one. */

/** Bytes of one part of a path, by the server's rule. */
const LONGEST_NAME = 255;

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

export function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

export function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`;
}

/** Whether the path is the directory itself or lies in it. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}

/** As part of an address. */
export function encode(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** What is wrong with the path in words, or null. */
export function faultOf(path: string): string | null {
  for (const part of path.split('/')) {
    if (part === '') return 'A name cannot be empty, or begin or end with “/”.';
    if (part === '.' || part === '..') return `“${part}” is no name.`;
    if (part.includes('\0')) return 'A name cannot hold the character NUL.';
    if (new TextEncoder().encode(part).length > LONGEST_NAME) return `A name has at most ${LONGEST_NAME} bytes.`;
  }
  return null;
}
