/** One person's first hour, from nothing: everything that the others test one by one, in a row. */
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { NotebookPage } from '../support/notebook';
import { expect, PASSWORD, Playground, test } from '../support/person';

test('sign up, run, answer, plot, notebook, upload, export, import, invite, key', async ({ page, request }) => {
  test.setTimeout(300_000);
  await page.goto('/');
  await page.getByLabel('E-mail').fill(`${randomUUID()}@example.com`);
  await page.locator('input[name=password]').fill(PASSWORD);
  await page.getByRole('button', { name: 'Sign up' }).click();

  const playground = new Playground(page);
  await expect(page.locator('.cm-content')).toBeVisible();
  await playground.run('import time\nfor n in range(3):\n    print("line", n, flush=True)\n    time.sleep(0.3)\nprint("hello", input("Who? "))');
  await expect(playground.output).toContainText('line 0');
  await playground.input.fill('Ada');
  await page.keyboard.press('Enter');
  await playground.ended('Succeeded');
  await expect(playground.output).toContainText('hello Ada');
  await playground.chooseScientific();
  await playground.run('import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()');
  await expect(page.getByRole('img', { name: 'Figure 1' })).toBeVisible({ timeout: 30_000 });

  await page.getByRole('link', { name: 'Files' }).click();
  await page.locator('input[type=file][multiple]').setInputFiles({ name: 'data.csv', mimeType: 'text/csv', buffer: Buffer.from('n\n20\n22\n') });
  await expect(page.getByText('One file uploaded')).toBeVisible();

  await page.getByRole('link', { name: 'Notebooks' }).click();
  await page.getByRole('button', { name: 'New notebook' }).click();
  const notebook = new NotebookPage(page);
  await expect(notebook.cells).toHaveCount(1);
  await page.getByRole('button', { name: /^Session/ }).click();
  await page.getByLabel('Files', { exact: true }).selectOption({ label: 'default' });
  await page.keyboard.press('Escape');
  await notebook.edit(0);
  await notebook.write('import csv\ntotal = sum(int(row["n"]) for row in csv.DictReader(open("data.csv")))');
  await page.keyboard.press('Shift+Enter');
  await expect(notebook.cell(0)).toHaveAttribute('aria-label', /ran as 1/);
  await notebook.write('total');
  await page.keyboard.press('Control+Enter');
  await expect(notebook.cell(1)).toContainText('42');
  await notebook.saved();
  await page.getByRole('button', { name: 'More' }).click();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Notebook (.ipynb)' }).click();
  const file = await readFile(await (await download).path());
  await page.getByRole('link', { name: 'Notebooks' }).first().click();
  await page.locator('input[type=file]').setInputFiles({ name: 'Second.ipynb', mimeType: 'application/json', buffer: file });
  await expect(page.getByRole('heading', { name: 'Second' })).toBeVisible();
  await expect(notebook.cell(1)).toContainText('42');

  await page.getByRole('link', { name: 'Members' }).click();
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.getByLabel('E-mail').fill('grace@example.com');
  await page.getByRole('dialog').getByRole('button', { name: 'Invite' }).click();
  await expect(page.getByLabel('The link')).toHaveValue(/#token=/);
  await page.getByRole('button', { name: 'Done' }).click();
  await page.getByRole('link', { name: 'API keys' }).click();
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByLabel('Name').fill('first');
  await page.getByRole('button', { name: 'Make key' }).click();
  const key = await page.getByLabel('The key').inputValue();
  const answer = await request.post('/api/v1/executions?wait_ms=20000', { headers: { authorization: `Bearer ${key}` }, data: { code: 'print(6 * 7)' } });
  expect((await answer.json()) as object).toMatchObject({ status: 'succeeded', stdout: '42\n' });
});
