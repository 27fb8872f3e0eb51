/** Much output, and output at once. */
import { expect, test } from '../support/person';

test('a line is seen as it is printed', async ({ playground }) => {
  const { page } = playground;
  await playground.run('print("ready")\ninput()\nimport time\nfor n in range(12):\n    print(f"at {time.time() * 1000:.0f}.", flush=True)\n    time.sleep(0.15)');
  await expect(playground.input).toBeFocused();
  await page.evaluate(() => {
    const seen = new Map<string, number>();
    (window as unknown as { seen: typeof seen }).seen = seen;
    const output = document.querySelector('[aria-label="Output"]') as HTMLElement;
    new MutationObserver(() => {
      for (const [, at] of output.textContent?.matchAll(/at (\d+)\./g) ?? []) if (at && !seen.has(at)) seen.set(at, Date.now());
    }).observe(output, { subtree: true, childList: true, characterData: true });
  });
  await page.keyboard.press('Enter');
  await playground.ended('Succeeded');
  const delays = await page.evaluate(() => [...(window as unknown as { seen: Map<string, number> }).seen].map(([printed, seen]) => seen - Number(printed)));
  delays.sort((left, right) => left - right);
  test.info().annotations.push({ type: 'print to page, ms', description: delays.join(' ') });
  expect(delays.length).toBe(12);
  // The lines come 150 ms apart: the first of them long before the last is printed. How late each is is recorded, since it
  // says how busy the machine is.
  expect(delays[6]).toBeLessThan(1_000);
});

test('10 MB in 100 000 lines stay smooth', async ({ playground }) => {
  test.setTimeout(120_000);
  const { page } = playground;
  await page.getByRole('button', { name: 'Limits' }).click();
  await page.getByLabel('Output', { exact: true }).fill('16384');
  await page.keyboard.press('Escape');
  await playground.run('import sys\nfor n in range(100_000):\n    sys.stdout.write(f"{n:06} " + "x" * 93 + "\\n")');
  await expect(playground.status('Succeeded')).toBeVisible({ timeout: 60_000 });
  await expect(playground.output).toContainText('099999 xxx');
  expect(await playground.output.locator('.row').count()).toBeLessThan(200);

  const worst = await page.evaluate(async () => {
    const view = document.querySelector('[aria-label="Output"]') as HTMLElement;
    let gap = 0;
    let last = performance.now();
    for (let frame = 0; frame < 120; frame += 1) {
      view.scrollTop = (view.scrollHeight * frame) / 120;
      await new Promise(requestAnimationFrame);
      const now = performance.now();
      gap = Math.max(gap, now - last);
      last = now;
    }
    view.scrollTop = 0;
    return gap;
  });
  test.info().annotations.push({ type: 'longest frame while scrolling, ms', description: String(Math.round(worst)) });
  expect(worst).toBeLessThan(250);
  await expect(playground.output).toContainText('000000 xxx');

  await page.reload();
  await expect(playground.status('Succeeded')).toBeVisible({ timeout: 60_000 });
  await expect(playground.output).toContainText('000000 xxx');
});

test('what is past the cap can be downloaded whole', async ({ playground }) => {
  test.setTimeout(120_000);
  await playground.run('import sys\nsys.stdout.write("\\n".join(str(n) for n in range(250_000)) + "\\n")');
  await expect(playground.status('Succeeded')).toBeVisible({ timeout: 60_000 });
  await expect(playground.page.getByText(/The first [\d,]+ lines are not shown here/)).toBeVisible();
  const download = playground.page.waitForEvent('download');
  await playground.page.getByRole('button', { name: 'Download all of it' }).click();
  const stream = await (await download).createReadStream();
  let lines = 0;
  for await (const chunk of stream) lines += String(chunk).split('\n').length - 1;
  expect(lines).toBe(250_000);
});

test('a plot is shown among the output', async ({ playground }) => {
  const { page } = playground;
  await playground.chooseScientific();
  await playground.run('import matplotlib.pyplot as plt\nprint("before")\nplt.plot([1, 4, 9])\nplt.show()\nprint("after")');
  await playground.ended('Succeeded');
  const image = page.getByRole('img', { name: 'Figure 1' });
  await expect(image).toBeVisible();
  expect(await image.evaluate((one: HTMLImageElement) => one.naturalWidth)).toBeGreaterThan(100);
  await expect(playground.output).toContainText(/before[\s\S]*after/);
});
