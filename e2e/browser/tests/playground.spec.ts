/** The playground: input, plots, limits, ends, and what a terminal would show. */
import { expect, test } from '../support/person';

test('the input line opens by itself, keeps the focus, and answers are seen', async ({ playground }) => {
  await playground.run('first = input("First? ")\nsecond = input("Second? ")\nprint(f"{first}-{second}")');
  await expect(playground.input).toBeFocused();
  await playground.page.keyboard.type('one');
  await playground.page.keyboard.press('Enter');
  await expect(playground.output).toContainText('Second?');
  await expect(playground.input).toBeFocused();
  await playground.page.keyboard.type('two');
  await playground.page.keyboard.press('Enter');
  await expect(playground.output).toContainText('one-two');
  await playground.ended('Succeeded');
  await expect(playground.input).toBeHidden();
});

test('Ctrl D ends the input', async ({ playground }) => {
  await playground.run('import sys\nprint(len(sys.stdin.read()))');
  await expect(playground.input).toBeFocused();
  await playground.page.keyboard.type('four');
  await playground.page.keyboard.press('Enter');
  await playground.page.keyboard.press('Control+d');
  await expect(playground.output).toContainText('5');
  await playground.ended('Succeeded');
});

test('runs by keyboard alone, and stops within a second', async ({ playground }) => {
  await playground.write('import time\nprint("begun")\ntime.sleep(60)');
  await playground.page.locator('.cm-content').press('Control+Enter');
  await expect(playground.output).toContainText('begun');
  const begun = Date.now();
  await playground.page.keyboard.press('Control+.');
  await playground.ended('Stopped');
  expect(Date.now() - begun).toBeLessThan(1_500);
  await expect(playground.runButton).toBeEnabled();
});

test('carriage returns and colours are shown as a terminal does', async ({ playground }) => {
  await playground.run('import sys\nfor n in range(3):\n    print(f"\\r{n} of 2", end="")\nprint("\\n\\033[1;31mred\\033[0m plain", file=sys.stdout)\nprint("\\033[2Kaside", file=sys.stderr)');
  await playground.ended('Succeeded');
  await expect(playground.output).toContainText('2 of 2');
  await expect(playground.output).not.toContainText('0 of 2');
  const red = playground.output.locator('span', { hasText: /^red$/ });
  await expect(red).toHaveCSS('font-weight', '700');
  await expect(playground.output.locator('.stderr')).toHaveText('aside');
});

test('says why a run died', async ({ playground }) => {
  await playground.run('hoard = []\nwhile True:\n    hoard.append(bytearray(32 * 1024 * 1024))');
  await playground.ended('Out of memory');
  await expect(playground.page.locator('.why')).toContainText('of 256 MiB');
  await playground.run('raise SystemExit(3)');
  await playground.ended('Failed');
  await expect(playground.page.locator('.why')).toContainText('3');
});

test('keeps a chosen limit, and refuses one out of range beside its field', async ({ playground }) => {
  const { page } = playground;
  await page.getByRole('button', { name: 'Limits' }).click();
  await page.getByLabel('Time', { exact: true }).fill('9999');
  await expect(page.getByLabel('Time', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await page.getByLabel('Time', { exact: true }).fill('1');
  await page.keyboard.press('Escape');
  await playground.run('import time\nprint("before", flush=True)\ntime.sleep(30)');
  await playground.ended('Timed out');
  await expect(playground.output).toContainText('before');
});

test('files are offered by their names, whatever those are', async ({ playground }) => {
  const name = '<img src=x onerror=alert(1)>.txt';
  await playground.run(`open(${JSON.stringify(name)}, "w").write("content")`);
  await playground.ended('Succeeded');
  const download = playground.page.waitForEvent('download');
  await playground.page.getByRole('button', { name: /onerror=alert/ }).click();
  await download;
});

test('versions: a match statement runs on 3.13 and is a syntax error on 3.9', async ({ playground }) => {
  const { page } = playground;
  await page.getByLabel('Examples').selectOption({ label: 'Versions: runs on 3.10 and newer; try it on 3.9' });
  await playground.runButton.click();
  await playground.ended('Succeeded');
  await expect(playground.output).toContainText('(3, 0) is on the x axis at 3');
  await page.getByLabel('Runtime').selectOption('python3.9');
  await playground.runButton.click();
  await playground.ended('Failed');
  await expect(playground.output).toContainText('SyntaxError');
});
