/** Nothing is lost: reloads, second tabs, cut networks. */
import { Network } from '../support/network';
import { expect, Playground, test } from '../support/person';

const COUNT = 'import time\nfor n in range(1, 41):\n    print(f"line {n}", flush=True)\n    time.sleep(0.1)';

async function wholeCount(playground: Playground): Promise<void> {
  await playground.ended('Succeeded');
  await playground.page.getByRole('button', { name: 'Copy the output' }).click();
  const text = await playground.page.evaluate(() => navigator.clipboard.readText());
  expect(text).toBe(Array.from({ length: 40 }, (_, n) => `line ${n + 1}\n`).join(''));
}

test('a reload in mid-run shows the run as the server has it', async ({ playground }) => {
  await playground.run(COUNT);
  await expect(playground.output).toContainText('line 5');
  await playground.page.reload();
  await expect(playground.output).toContainText('line 5');
  await wholeCount(playground);
  await playground.page.reload();
  await wholeCount(playground);
  await expect(playground.page.locator('.cm-content')).toContainText('range(1, 41)');
});

test('a second tab shows the same run', async ({ playground, context }) => {
  await playground.run(COUNT);
  await expect(playground.output).toContainText('line 3');
  const other = new Playground(await context.newPage());
  await other.page.goto(playground.page.url());
  await expect(other.output).toContainText('line 3');
  await wholeCount(other);
  await playground.page.bringToFront();
  await wholeCount(playground);
});

test('a machine that leaves its network is told so, and nothing is missing or twice after it', async ({ playground, context }) => {
  await playground.run(COUNT);
  await expect(playground.output).toContainText('line 5');
  await context.setOffline(true);
  await expect(playground.page.getByText('The connection is lost')).toBeVisible();
  await context.setOffline(false);
  await expect(playground.page.getByText('The connection is lost')).toBeHidden();
  await wholeCount(playground);
});

test('connections that break in mid-run are resumed where they broke', async ({ page, account }) => {
  void account;
  const network = await Network.before(process.env.KILN_URL ?? '');
  try {
    const playground = new Playground(page);
    await page.goto(network.address);
    await expect(page.getByLabel('Runtime')).not.toHaveValue('');
    await playground.run(COUNT);
    await expect(playground.output).toContainText('line 5');
    network.cut();
    await expect(page.getByText('The connection is lost')).toBeVisible();
    network.mend();
    await expect(page.getByText('The connection is lost')).toBeHidden();
    await expect(playground.output).toContainText('line 15');
    network.cut();
    network.mend();
    await wholeCount(playground);
  } finally {
    await network.close();
  }
});
