/** Files of a workspace: up, looked at, moved, down, away; names are text; what is under way can be stopped. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from '@playwright/test';
import { expect, signUp, test } from '../support/person';

const PICKER = 'input[type=file][multiple]';
const file = (name: string, content: string | Buffer) => ({ name, mimeType: 'application/octet-stream', buffer: Buffer.from(content) });

function item(page: Page, name: string | RegExp) {
  return page.getByRole('treeitem', { name });
}

async function open(page: Page): Promise<void> {
  await page.goto('/files');
  await expect(page.getByText('Nothing here yet')).toBeVisible();
}

test('uploaded, looked at, renamed, moved, downloaded, deleted by name', async ({ page, account }) => {
  void account;
  await open(page);
  await page.locator(PICKER).setInputFiles([file('planets.csv', 'planet,days\n"Venus, hot",225\n'), file('note.txt', 'hello\n')]);
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  await item(page, /planets/).click();
  await expect(page.getByRole('cell', { name: 'Venus, hot' })).toBeVisible();

  await item(page, /note/).press('F2');
  await page.getByLabel('New name').fill('../out.txt');
  await page.getByRole('button', { name: 'Rename', exact: true }).last().click();
  await expect(page.getByRole('alert').filter({ hasText: 'is no name' })).toBeVisible();
  await page.getByLabel('New name').fill('renamed.txt');
  await page.keyboard.press('Enter');
  await expect(item(page, /renamed/)).toBeVisible();
  await page.getByRole('button', { name: 'Move', exact: true }).click();
  await page.getByRole('textbox', { name: 'To' }).fill('deep/down/renamed.txt');
  await page.keyboard.press('Enter');
  await expect(item(page, /^down/)).toBeVisible();
  await expect(page.getByLabel('Content')).toHaveText('hello');

  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download' }).click();
  expect(await readFile(await (await download).path(), 'utf8')).toBe('hello\n');

  await page.reload();
  await expect(item(page, /renamed/)).toHaveAttribute('aria-selected', 'true');
  await item(page, /^deep/).press('Delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(item(page, /^deep/)).toHaveCount(0);
  await expect(item(page, /planets/)).toBeVisible();
});

test('a folder keeps its shape, and the tree is walked by keyboard', async ({ page, account }) => {
  void account;
  const folder = await mkdtemp(path.join(tmpdir(), 'kiln-folder-'));
  await mkdir(path.join(folder, 'data', 'raw'), { recursive: true });
  await writeFile(path.join(folder, 'data', 'raw', 'a.txt'), 'a');
  await writeFile(path.join(folder, 'data', 'b.txt'), 'b');
  await open(page);
  await page.locator('input[webkitdirectory]').setInputFiles(path.join(folder, 'data'));
  await rm(folder, { recursive: true });
  await expect(page.getByText('2 files uploaded')).toBeVisible();
  await item(page, /^data/).focus();
  await page.keyboard.press('ArrowRight');
  await expect(item(page, /^raw/)).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  await expect(item(page, /^a\.txt/)).toBeVisible();
  await page.keyboard.press('ArrowDown');
  await expect(item(page, /^a\.txt/)).toBeFocused();
  await expect(page.getByLabel('Content')).toHaveText('a');
});

test('50 MB show how far they are, and can be stopped', async ({ page, account }) => {
  void account;
  await open(page);
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 8_000_000 });
  await page.locator(PICKER).setInputFiles(await large('big.bin'));
  await expect(page.getByText(/MiB of 47\.7 MiB/)).toBeVisible();
  await page.getByRole('button', { name: 'Stop big.bin' }).click();
  await expect(page.getByText('stopped')).toBeVisible();
  await expect(page.getByText('Nothing here yet')).toBeVisible();
  await session.send('Network.emulateNetworkConditions', { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
  await page.getByRole('button', { name: 'Send big.bin again' }).click();
  await expect(item(page, /big\.bin, 47\.7 MiB/)).toBeVisible({ timeout: 30_000 });
});

async function large(name: string): Promise<string> {
  const directory = await mkdtemp(path.join(tmpdir(), 'kiln-large-'));
  const made = path.join(directory, name);
  await writeFile(made, Buffer.alloc(50_000_000, 7));
  return made;
}

test('over the quota is said of the file, and the bar warns', async ({ page, context, account }) => {
  const headers = { authorization: `Bearer ${account.token}` };
  const made = await context.request.post('/api/v1/workspaces', { headers, data: { name: 'small', quota_bytes: 2_097_152 } });
  expect(made.status()).toBe(201);
  await page.goto(`/files?in=${((await made.json()) as { id: string }).id}`);
  await page.locator(PICKER).setInputFiles([file('fits.bin', Buffer.alloc(1_950_000))]);
  await expect(page.getByText('nearly full')).toBeVisible();
  await page.locator(PICKER).setInputFiles([file('not.bin', Buffer.alloc(200_000))]);
  await expect(page.getByText('1 of 1 did not arrive')).toBeVisible();
  await expect(item(page, /not\.bin/)).toHaveCount(0);
});

test('hostile names and contents are text', async ({ page, account }) => {
  void account;
  await open(page);
  const name = '<img src=x onerror=alert(1)>.txt';
  await page.locator(PICKER).setInputFiles([file(name, '<script>window.pwned = 1</script>'), file('x.svg', '<svg xmlns="http://www.w3.org/2000/svg" onload="parent.pwned = 1"><script>parent.pwned = 1</script></svg>')]);
  await item(page, name).click();
  await expect(page.getByLabel('Content')).toHaveText('<script>window.pwned = 1</script>');
  await item(page, /x\.svg/).click();
  await expect(page.getByRole('img', { name: 'x.svg' })).toBeVisible();
  expect(await page.evaluate(() => 'pwned' in window)).toBe(false);
});

test("another tenant's workspace is not there", async ({ page, account, browser }) => {
  void account;
  await open(page);
  await page.locator(PICKER).setInputFiles([file('secret.txt', 'x')]);
  await item(page, /secret/).click();
  const address = page.url();
  const other = await browser.newContext({ baseURL: new URL(address).origin });
  await signUp(other);
  const theirs = await other.newPage();
  await theirs.goto(address);
  await expect(theirs.getByText('Nothing here yet')).toBeVisible();
  await other.close();
});
