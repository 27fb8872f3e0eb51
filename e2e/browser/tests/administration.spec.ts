/** The tenant's secrets, audit log and end; the installation's tenants and executors; scripts. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, PASSWORD, signUp, test } from '../support/person';

test('a secret is written, reaches a run, and is never shown again', async ({ page, context, account }) => {
  await page.goto('/tenant');
  await page.getByRole('button', { name: 'New secret' }).click();
  await page.getByLabel('Name').fill('not a name');
  await page.getByLabel('Value').fill('hunter2hunter2');
  await page.getByRole('button', { name: 'Keep it' }).last().click();
  await expect(page.getByText('as a variable is called')).toBeVisible();
  await page.getByLabel('Name').fill('TOKEN');
  await page.getByRole('button', { name: 'Keep it' }).last().click();
  await expect(page.getByRole('cell', { name: 'TOKEN', exact: true })).toBeVisible();
  await expect(page.getByText('hunter2')).toHaveCount(0);
  const ran = await context.request.post('/api/v1/executions?wait_ms=20000', { headers: { authorization: `Bearer ${account.token}` }, data: { code: 'import os; print(len(os.environ["TOKEN"]))', secrets: ['TOKEN'] } });
  expect((await ran.json()) as object).toMatchObject({ status: 'succeeded', stdout: '14\n' });
  await page.reload();
  await expect(page.getByRole('region', { name: 'Audit log' })).toContainText('secret');
  await page.getByRole('button', { name: 'Delete TOKEN' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('TOKEN is deleted.')).toBeVisible();
});

test('a tenant is renamed, and deleted by typing its name', async ({ page, context, account }) => {
  const made = await context.request.post('/api/v1/tenants', { headers: { authorization: `Bearer ${account.token}` }, data: { name: 'Second' } });
  expect(made.status()).toBe(201);
  await page.goto('/');
  await page.getByRole('button', { name: /^Account of/ }).click();
  await page.getByRole('button', { name: /Second/ }).click();
  await expect(page.getByRole('button', { name: /^Account of/ })).toContainText('Second');
  await page.getByRole('link', { name: 'Tenant', exact: true }).click();
  await page.getByRole('button', { name: 'Rename' }).click();
  await page.getByLabel('Name', { exact: true }).fill('Third');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { name: 'Third', level: 1 })).toBeVisible();
  await page.getByRole('button', { name: 'Delete Third' }).click();
  const end = page.getByRole('button', { name: 'Delete for good' });
  await expect(end).toBeDisabled();
  await page.getByLabel(/^Type/).fill((await page.locator('header .mono').textContent()) ?? '');
  await end.click();
  await expect(page.getByText('Third is deleted.')).toBeVisible();
  // The sign-in went with the tenant; the account is there as before.
  await page.getByLabel('E-mail').fill(account.email);
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('button', { name: /^Account of/ })).toContainText('Ada');
});

test('a platform admin suspends a tenant and lets it in again; others see nothing', async ({ page, context, account, browser, baseURL }) => {
  await page.goto('/admin');
  await expect(page.getByText('Only platform admins see this')).toBeVisible();
  const { KILN_BIN, KILN_DATA } = process.env;
  if (!KILN_BIN || !KILN_DATA) throw new Error('KILN_BIN and KILN_DATA name the program and its data');
  const { PATH, HOME } = process.env; // what begins with KILN_ would be settings
  await promisify(execFile)(KILN_BIN, ['admin', 'grant', account.email, '--data', KILN_DATA], { env: { PATH, HOME } });
  const other = await browser.newContext({ baseURL });
  const them = await signUp(other);
  const me = await other.request.get('/api/v1/auth/me', { headers: { authorization: `Bearer ${them.token}` } });
  const slug = ((await me.json()) as { tenant: { slug: string } }).tenant.slug;
  await context.request.post('/api/v1/auth/login', { data: { email: account.email, password: PASSWORD } });
  await page.reload();
  await expect(page.getByRole('region', { name: 'Executors' })).toContainText('Live');
  const row = page.getByRole('row').filter({ hasText: slug });
  await row.getByRole('button', { name: /^Suspend/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Suspend' }).click();
  await expect(row).toContainText('Suspended');
  const refused = () => other.request.post('/api/v1/executions', { headers: { authorization: `Bearer ${them.token}` }, data: { code: '1' } });
  await expect(async () => expect((await refused()).status()).toBeGreaterThanOrEqual(400)).toPass({ timeout: 10_000 });
  await row.getByRole('button', { name: /^Resume/ }).click();
  await expect(row).toContainText('Open');
  await row.getByRole('button', { name: /^Limits/ }).click();
  await page.getByLabel('Runs at once').fill('3');
  await page.getByRole('button', { name: 'Set', exact: true }).click();
  await expect(page.getByText('The limits are in force within seconds.')).toBeVisible();
  await row.getByRole('button', { name: /^Limits/ }).click();
  await expect(page.getByText('in force: 3', { exact: true })).toBeVisible();
  await other.close();
});

test('a program is saved as a script, opened, changed and deleted', async ({ playground }) => {
  const { page } = playground;
  await playground.write('print("kept")');
  await page.keyboard.press('Control+s');
  await page.getByLabel('Name', { exact: true }).fill('nightly <b>');
  await page.keyboard.press('Enter');
  await expect(page.getByText('is saved.')).toBeVisible();
  await page.getByRole('link', { name: 'Scripts' }).click();
  await page.getByRole('link', { name: 'nightly <b>' }).click();
  await expect(page.locator('.cm-content')).toContainText('print("kept")');
  await playground.run('print("changed")');
  await playground.ended('Succeeded');
  await expect(page).toHaveURL(/script=.*run=/);
  await page.locator('.cm-content').click();
  await page.keyboard.press('Control+s');
  await expect(page.getByText('is saved.').last()).toBeVisible();
  await page.reload();
  await expect(page.locator('.cm-content')).toContainText('changed');
  await page.goto('/scripts');
  await page.getByRole('button', { name: 'Delete nightly <b>' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('No scripts yet')).toBeVisible();
});
