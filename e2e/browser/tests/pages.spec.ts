/** Runs, overview, keys, settings; the palette and the help. */
import type { APIRequestContext } from '@playwright/test';
import { expect, PASSWORD, signUp, test } from '../support/person';

async function execute(request: APIRequestContext, token: string, body: Record<string, unknown>): Promise<string> {
  const answer = await request.post('/api/v1/executions?wait_ms=20000', { data: body, headers: { authorization: `Bearer ${token}` } });
  expect([200, 202]).toContain(answer.status());
  return ((await answer.json()) as { id: string }).id;
}

test('runs: filtered, opened, run again, deleted by name', async ({ page, context, account }) => {
  const fine = await execute(context.request, account.token, { code: 'print("fine")', labels: { team: 'data' } });
  const bad = await execute(context.request, account.token, { code: 'open("left.txt","w").write("x"); raise SystemExit(4)' });
  await page.goto('/runs');
  await expect(page.getByRole('row')).toHaveCount(3);
  await page.getByLabel('Status').selectOption('failed');
  await expect(page.getByRole('row')).toHaveCount(2);
  await expect(page).toHaveURL(/status=failed/);
  await page.getByLabel('Status').selectOption('');
  await page.getByLabel('Label, as key=value').fill('team=data');
  await page.getByLabel('Label, as key=value').press('Enter');
  await expect(page.getByRole('row')).toHaveCount(2);
  await page.getByRole('link', { name: fine.slice(-8) }).click();
  await expect(page.getByRole('region', { name: 'Output' })).toContainText('fine');

  await page.goto(`/runs/${bad}`);
  await expect(page.locator('.why')).toContainText('exit code 4');
  await expect(page.getByRole('button', { name: /left\.txt/ })).toBeVisible();
  await page.getByRole('button', { name: /Run \w+ again/ }).click();
  await expect(page).not.toHaveURL(new RegExp(bad));
  await expect(page.locator('.why')).toContainText('exit code 4');

  await page.goto(`/runs/${bad}`);
  await page.getByRole('button', { name: /Delete run/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page).toHaveURL(/\/runs$/);
  await expect(page.getByRole('link', { name: bad.slice(-8) })).toHaveCount(0);
});

test('a live run is stopped from the list, which follows by itself', async ({ page, context, account }) => {
  const answer = await context.request.post('/api/v1/executions', { data: { code: 'import time; time.sleep(60)' }, headers: { authorization: `Bearer ${account.token}` } });
  const { id } = (await answer.json()) as { id: string };
  await page.goto('/runs');
  await page.getByRole('button', { name: `Stop run ${id.slice(-8)}` }).click();
  await expect(page.getByRole('cell', { name: 'Stopped' })).toBeVisible();
});

test('the overview shows what runs and what failed', async ({ page, context, account }) => {
  await execute(context.request, account.token, { code: 'raise SystemExit(1)' });
  await context.request.post('/api/v1/executions', { data: { code: 'import time; time.sleep(20)' }, headers: { authorization: `Bearer ${account.token}` } });
  await page.goto('/overview');
  await expect(page.getByRole('meter', { name: 'Running now' })).toHaveAttribute('aria-valuetext', '1 of 32');
  await expect(page.getByRole('cell', { name: 'Running' })).toBeVisible();
  await expect(page.getByRole('cell', { name: 'Failed' })).toBeVisible();
});

test('a key is shown once, works, and is refused when revoked', async ({ page, request, account }) => {
  void account;
  await page.goto('/keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByRole('button', { name: 'Make key' }).click();
  await expect(page.getByText('Give it a name')).toBeVisible();
  await page.getByLabel('Name').fill('<b>import</b>');
  await page.getByRole('button', { name: 'Make key' }).click();
  const key = await page.getByLabel('The key').inputValue();
  expect(key).toMatch(/^kiln_/);
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('cell', { name: '<b>import</b>', exact: true })).toBeVisible();
  await expect(page.getByText(key)).toHaveCount(0);

  const use = () => request.get('/api/v1/executions', { headers: { authorization: `Bearer ${key}` } });
  expect((await use()).status()).toBe(200);
  await page.getByRole('button', { name: 'Revoke <b>import</b>' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(page.getByText('No keys yet')).toBeVisible();
  await expect(async () => expect((await use()).status()).toBe(401)).toPass({ timeout: 8_000 });
});

test('the theme is kept, and a sign-in elsewhere can be ended', async ({ page, account, browser }) => {
  await page.goto('/settings');
  await page.getByText('Dark', { exact: true }).click();
  await page.reload();
  await expect(page.locator('html')).toHaveAttribute('data-theme', 'dark');

  const other = await browser.newContext({ baseURL: new URL(page.url()).origin });
  const answer = await other.request.post('/api/v1/auth/login', { data: { email: account.email, password: PASSWORD } });
  expect(answer.status()).toBe(200);
  const elsewhere = await other.newPage();
  await elsewhere.goto('/settings');
  await expect(elsewhere.getByRole('heading', { name: 'Settings' })).toBeVisible();
  await page.reload();
  await page.getByRole('button', { name: 'Sign out', exact: true }).click();
  await expect(page.getByText('Signed out there.')).toBeVisible();

  // There, the next thing that is asked for brings the log-in, and after it the place where they were.
  await elsewhere.getByRole('link', { name: 'Overview' }).click();
  await expect(elsewhere.getByRole('heading', { name: 'Log in to go on' })).toBeVisible({ timeout: 15_000 });
  await elsewhere.getByLabel('E-mail').fill(account.email);
  await elsewhere.locator('input[name=password]').fill(PASSWORD);
  await elsewhere.getByRole('button', { name: 'Log in' }).click();
  await expect(elsewhere.getByRole('heading', { level: 1 })).toHaveText('Overview');
  await other.close();
});

test('the palette finds pages and examples by keyboard alone; ? shows the keys', async ({ playground }) => {
  const { page } = playground;
  await page.keyboard.press('Control+k');
  await page.keyboard.type('guess');
  await page.keyboard.press('Enter');
  await expect(page.locator('.cm-content')).toContainText('Your guess');
  await page.keyboard.press('Control+k');
  await page.keyboard.type('runs');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Runs', level: 1 })).toBeVisible();
  await page.keyboard.press('?');
  await expect(page.getByRole('dialog', { name: 'Keyboard help' })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('dialog', { name: 'Keyboard help' })).toBeHidden();
});

test('an address that is none says so, to people and to programs', async ({ page, context, request }) => {
  await signUp(context);
  const answer = await page.goto('/nothing/here');
  expect(answer?.status()).toBe(404);
  await expect(page.getByRole('heading', { name: 'There is nothing at this address' })).toBeVisible();
  const problem = await request.get('/api/v1/nothing', { headers: { accept: 'text/html' } });
  expect(problem.headers()['content-type']).toBe('application/problem+json');
});
