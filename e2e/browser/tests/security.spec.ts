/** What programs print, name and display runs nothing in the app's origin, and nobody sees another tenant's runs. */
import { expect, signUp, test } from '../support/person';

const HOSTILE = '<img src=x onerror="window.pwned=1"><script>window.pwned=1</script><svg onload="window.pwned=1">';

const display = (html: string) => `
from IPython.display import HTML, display
display(HTML(${JSON.stringify(html)}))
print("displayed")
`;

test('markup in output is text', async ({ playground }) => {
  await playground.run(`print(${JSON.stringify(HOSTILE)})`);
  await playground.ended('Succeeded');
  await expect(playground.output).toContainText('<img src=x onerror=');
  expect(await playground.page.evaluate(() => 'pwned' in window)).toBe(false);
});

test('displayed HTML lives in an origin of its own, without a network', async ({ playground, complaints }) => {
  const script = `
    const found = [];
    const attempt = (name, work) => { try { work(); found.push(name); } catch {} };
    attempt("parent", () => parent.document.title);
    attempt("cookie", () => document.cookie);
    attempt("storage", () => localStorage.length);
    attempt("top", () => { top.pwned = 1; });
    fetch("/api/v1/auth/refresh", { method: "POST", credentials: "include" }).then(() => found.push("network"), () => {})
      .then(() => { document.getElementById("verdict").textContent = "reached: [" + found.join() + "] origin " + origin; });
  `.replaceAll('\n', ' ');
  await playground.chooseScientific();
  await playground.run(display(`<b>Bold</b> <p id="verdict">waiting</p><script>${script}</script>`));
  await playground.ended('Succeeded');
  const frame = playground.page.frameLocator('iframe');
  await expect(frame.locator('b')).toHaveText('Bold');
  await expect(frame.locator('#verdict')).toHaveText('reached: [] origin null');
  expect(await playground.page.evaluate(() => 'pwned' in window)).toBe(false);
  expect(await playground.page.locator('iframe').getAttribute('sandbox')).toBe('allow-scripts');
  expect(complaints.splice(0).join()).toContain('Refused to connect');
});

test('a frame cannot grow without end or take the page away', async ({ playground }) => {
  await playground.chooseScientific();
  await playground.run(display('<div style="height:99999px">tall</div><script>parent.postMessage({ height: 1e9 }, "*"); try { top.location = "about:blank"; } catch {}</script>'));
  await playground.ended('Succeeded');
  await expect(playground.page.frameLocator('iframe').getByText('tall')).toBeVisible();
  expect((await playground.page.locator('iframe').boundingBox())?.height).toBeLessThanOrEqual(4_000);
  expect(playground.page.url()).toContain('?run=');
});

test('the policy refuses inline and evaluated script', async ({ playground, complaints }) => {
  const ran = await playground.page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'window.pwned = 1';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<img src="data:," onerror="window.pwned = 2">');
    return new Promise((resolve) => setTimeout(() => resolve('pwned' in window), 200));
  });
  expect(ran).toBe(false);
  expect(complaints.splice(0).length).toBeGreaterThan(0);
});

test("another tenant's run is nothing, in two browser profiles", async ({ playground, browser }) => {
  await playground.run('print("secret of the first")');
  await playground.ended('Succeeded');
  const id = new URL(playground.page.url()).searchParams.get('run');
  const other = await browser.newContext({ baseURL: new URL(playground.page.url()).origin });
  await signUp(other);
  const page = await other.newPage();
  for (const address of [`/runs/${id}`, `/?run=${id}`]) {
    await page.goto(address);
    await expect(page.getByText('There is nothing here by that name.')).toBeVisible();
    await expect(page.getByText('secret of the first')).toHaveCount(0);
  }
  await page.goto('/runs');
  await expect(page.getByText('No runs yet')).toBeVisible();
  await other.close();
});
