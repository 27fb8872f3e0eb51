/** The mail that Kiln sends: each message is a file, because the tests start it so. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const WITHIN_MS = 15_000;
const EVERY_MS = 100;

/** The link in the newest message to that address. */
export async function linkFor(address: string): Promise<string> {
  const directory = process.env.KILN_MAIL_DIR;
  if (!directory) throw new Error('KILN_MAIL_DIR is not set: these tests start their own Kiln');
  for (const until = Date.now() + WITHIN_MS; Date.now() < until; await new Promise((next) => setTimeout(next, EVERY_MS))) {
    for (const name of (await readdir(directory)).sort().reverse()) {
      const message = decode(await readFile(path.join(directory, name), 'utf8'));
      const link = /https?:\S+#token=\S+/.exec(message)?.[0];
      if (link && message.includes(address)) return link;
    }
  }
  throw new Error(`no mail with a link came for ${address}`);
}

/** Quoted-printable (RFC 2045), where the message uses it. */
function decode(message: string): string {
  if (!/quoted-printable/i.test(message)) return message;
  return message.replaceAll(/=\r?\n/g, '').replaceAll(/=([0-9A-F]{2})/g, (_, byte: string) => String.fromCharCode(Number.parseInt(byte, 16)));
}
