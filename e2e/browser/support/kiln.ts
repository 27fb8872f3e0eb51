/** Starts a whole Kiln of its own before the tests, and stops it after them. `KILN_URL` names one that runs already, in `KILN_DATA`. */
import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const READY_WITHIN_MS = 120_000;
const STOP_WITHIN_MS = 30_000;

export default async function start(): Promise<(() => Promise<void>) | undefined> {
  if (process.env.KILN_URL) return undefined;
  const program = process.env.KILN_BIN;
  if (!program) throw new Error('KILN_BIN names the program to test: target/release/kiln');
  const data = await mkdtemp(path.join(tmpdir(), 'kiln-browser-'));
  const mail = path.join(data, 'mail');
  await mkdir(mail);
  process.env.KILN_MAIL_DIR = mail;
  process.env.KILN_DATA = path.join(data, 'kiln');
  // The sign-ups of all tests come from one address.
  const env = { ...process.env, KILN_AUTH__SIGNUPS_PER_MINUTE: '1000' };
  const kiln = spawn(program, ['up', '--listen', '127.0.0.1:0', '--data', path.join(data, 'kiln'), '--no-open'], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const said: string[] = [];
  const ended = new Promise<void>((resolve) => kiln.once('exit', () => resolve()));
  const ready = new Promise<string>((resolve, reject) => {
    const hear = (line: string) => {
      said.push(line);
      const found = /^Kiln is ready at (http:\S+)/.exec(line);
      if (found?.[1]) resolve(found[1]);
    };
    createInterface(kiln.stdout).on('line', hear);
    createInterface(kiln.stderr).on('line', hear);
    kiln.once('error', reject);
    void ended.then(() => reject(new Error('it ended')));
    setTimeout(() => reject(new Error('not ready in time')), READY_WITHIN_MS).unref();
  });
  const stop = async () => {
    kiln.kill('SIGINT');
    const killer = setTimeout(() => kiln.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(killer);
    await rm(data, { recursive: true, force: true });
  };
  try {
    process.env.KILN_URL = await ready;
    return stop;
  } catch (error) {
    await stop();
    throw new Error(`Kiln did not start: ${String(error)}\n${said.join('\n')}`);
  }
}
