/** A newcomer, from nothing to live output. */
import { randomUUID } from 'node:crypto';
import { expect, PASSWORD, Playground, signUp, test } from '../support/person';

test('signs up, runs, sees lines as they are printed', async ({ page }) => {
  await page.goto('/');
  await expect(page.getByRole('heading', { name: 'Run Python in a moment' })).toBeVisible();
  await page.getByLabel('E-mail').fill(`${randomUUID()}@example.com`);
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();

  const playground = new Playground(page);
  await playground.runButton.click();
  await expect(playground.output).toContainText('1 squared is 1');
  await expect(playground.status('Running')).toBeVisible();
  await expect(playground.output).not.toContainText('5 squared is 25');
  await expect(playground.output).toContainText('5 squared is 25');
  await playground.ended('Succeeded');
});

test('is told beside each field what is wrong', async ({ page, context }) => {
  await page.goto('/signup');
  await page.getByLabel('E-mail').fill('nobody');
  await page.locator('input[name=password]').fill('short');
  await expect(page.getByText('10 more to go')).toBeVisible();
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page.getByText('Enter your e-mail address')).toBeVisible();
  await expect(page.getByLabel('E-mail')).toBeFocused();
  await expect(page.getByText('10 more characters, please.')).toBeVisible();

  await page.getByLabel('E-mail').fill(`${randomUUID()}@example.com`);
  await page.locator('input[name=password]').fill('passwordpassword');
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page.locator('input[name=password]')).toHaveAttribute('aria-invalid', 'true');

  const { email } = await signUp(context);
  await page.getByLabel('E-mail').fill(email);
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();
  await expect(page.getByRole('alert').or(page.locator('.fault')).filter({ hasText: /\w/ }).first()).toBeVisible();
});

test('logs out, and in again, back where they were', async ({ page, account }) => {
  await page.goto('/settings');
  await page.getByRole('button', { name: /Account of/ }).click();
  await page.getByRole('button', { name: 'Log out' }).click();
  await expect(page.getByRole('heading', { name: 'Log in' })).toBeVisible();
  expect(new URL(page.url()).pathname).toBe('/settings');

  await page.getByLabel('E-mail').fill(account.email);
  await page.locator('input[name=password]').fill('not the password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('alert')).toContainText('not right');
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('heading', { name: 'Settings', level: 1 })).toBeVisible();
});

test('credentials are in no address and no storage a script can read', async ({ page, playground, account }) => {
  await playground.run('print("hi")');
  await playground.ended('Succeeded');
  const readable = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]));
  expect(readable).not.toContain(account.token.slice(0, 20));
  expect(readable).not.toMatch(/eyJ|refresh/);
});
