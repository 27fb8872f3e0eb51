/** Sessions: variables live on, input is asked for, a reload loses nothing, interrupt and close say what they do. */
import type { Page } from '@playwright/test';
import { expect, test } from '../support/person';

async function send(page: Page, code: string): Promise<void> {
  await page.locator('.cm-content').click();
  await page.evaluate((text) => navigator.clipboard.writeText(text), code);
  await page.keyboard.press('Control+v');
  await page.keyboard.press('Control+Enter');
}

async function begin(page: Page): Promise<void> {
  await page.goto('/sessions');
  await expect(page.getByText('No session lives')).toBeVisible();
  await page.getByRole('button', { name: 'New session' }).click();
  await page.getByLabel('Name').fill('work');
  await page.getByRole('button', { name: 'Start', exact: true }).click();
  await expect(page.locator('.cm-content')).toBeVisible();
}

test('state lives on, errors are shown whole, and a reload brings it all back', async ({ page, account }) => {
  void account;
  await begin(page);
  await send(page, 'x = 41\nprint("made")');
  await expect(page.getByText('Succeeded')).toBeVisible();
  await send(page, 'input("How many? ")\nx + 1');
  await page.getByLabel('Input for the program').fill('2');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('article').nth(1)).toContainText('42');
  await send(page, '1/0');
  await expect(page.getByRole('article').nth(2)).toContainText('ZeroDivisionError: division by zero');
  await page.reload();
  await expect(page.getByRole('article')).toHaveCount(3);
  await expect(page.getByRole('article').nth(0)).toContainText('made');
  await expect(page.getByRole('article').nth(2)).toContainText('ZeroDivisionError');
  await send(page, 'x * 2');
  await expect(page.getByRole('article').nth(3)).toContainText('82');
});

test('interrupt keeps the variables, close ends them', async ({ page, account }) => {
  void account;
  await begin(page);
  await send(page, 'kept = 7\nimport time\nprint("in", flush=True)\ntime.sleep(60)');
  await expect(page.getByRole('article')).toContainText('in');
  await page.getByRole('button', { name: 'Interrupt work' }).click();
  await expect(page.getByRole('article')).toContainText('KeyboardInterrupt');
  await send(page, 'kept');
  await expect(page.getByRole('article').nth(1)).toContainText('7');
  await page.getByRole('link', { name: 'Sessions' }).click();
  await page.getByRole('button', { name: 'Close work' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click();
  await expect(page.getByText('No session lives')).toBeVisible();
  await expect(page.getByText('“work” is closed.')).toBeVisible();
});
