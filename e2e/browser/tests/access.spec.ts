/** Every page in both themes, wide and narrow: axe finds nothing serious, nothing is wider than the window. */
import AxeBuilder from '@axe-core/playwright';
import type { Page } from '@playwright/test';
import { code, makeNotebook, text } from '../support/notebook';
import { expect, Playground, signUp, test } from '../support/person';

const SHOTS = 'artifacts/screenshots';

async function inspect(page: Page, name: string): Promise<void> {
  for (const width of [1440, 1024, 380]) {
    await page.setViewportSize({ width, height: width === 380 ? 780 : 900 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await page.screenshot({ path: `${SHOTS}/${name}-${width}-${colorScheme}.png` });
      if (width === 1024 || (width === 380 && colorScheme === 'dark')) continue;
      const { violations } = await new AxeBuilder({ page }).analyze();
      const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
      expect(serious.map(({ id, nodes }) => `${name} ${width} ${colorScheme} ${id}: ${nodes.map(({ target, failureSummary }) => `${target.join(' ')} ${failureSummary}`).join('; ')}`)).toEqual([]);
    }
    expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), `${name} at ${width}`).toBeLessThanOrEqual(0);
  }
}

test('sign up and log in', async ({ page }) => {
  await page.goto('/signup');
  await page.getByRole('button', { name: 'Sign up' }).click();
  await inspect(page, 'signup');
  await page.goto('/login');
  await inspect(page, 'login');
});

test('the playground, empty, with colours, with input', async ({ playground }) => {
  test.setTimeout(120_000);
  const { page } = playground;
  await inspect(page, 'playground');
  await playground.run('import sys\nfor n in range(16):\n    print(f"\\033[{(30 if n < 8 else 82) + n}mcolour {n}\\033[0m")\nprint("error", file=sys.stderr)\nopen("left.csv", "w").write("a")\nraise SystemExit(2)');
  await playground.ended('Failed');
  await inspect(page, 'playground-ended');
  await playground.run('input("Name? ")');
  await expect(playground.input).toBeVisible();
  await inspect(page, 'playground-input');
});

test('the other pages', async ({ page, context }) => {
  test.setTimeout(300_000);
  const { token } = await signUp(context);
  const headers = { authorization: `Bearer ${token}` };
  const answer = await context.request.post('/api/v1/executions?wait_ms=20000', { headers, data: { code: 'print("x"); raise SystemExit(1)', labels: { team: 'data' } } });
  const { id } = (await answer.json()) as { id: string };
  await context.request.post('/api/v1/api-keys', { headers, data: { name: 'nightly', scopes: ['executions:read'] } });
  const workspaces = (await (await context.request.get('/api/v1/workspaces', { headers })).json()) as { data: { id: string }[] };
  const workspace = workspaces.data[0]?.id;
  await context.request.put(`/api/v1/workspaces/${workspace}/files/data/planets.csv`, { headers: { ...headers, 'content-type': 'application/octet-stream' }, data: 'planet,days\nVenus,225\n' });
  const made = await context.request.post('/api/v1/sessions', { headers, data: { name: 'work', workspace_id: workspace } });
  const session = ((await made.json()) as { id: string }).id;
  await context.request.post(`/api/v1/sessions/${session}/executions?wait_ms=20000`, { headers, data: { code: 'print("colour \\033[31mred")\n1/0' } });
  const cells = [text('a', '# A heading\n\nSome *text* with `code` and [a link](https://example.com).'), code('b', 'for n in range(3):\n    print("line", n)', [{ output_type: 'stream', name: 'stdout', text: 'line 0\nline 1\nline 2\n' }]), code('c', '1/0', [{ output_type: 'error', ename: 'ZeroDivisionError', evalue: 'division by zero', traceback: ['Traceback (most recent call last):', '\u001b[0;31mZeroDivisionError: division by zero\u001b[0m'] }])];
  const notebook = await makeNotebook(context.request, token, cells, { name: 'First notebook' });
  await context.request.post('/api/v1/scripts', { headers, data: { name: 'nightly', code: 'print(1)' } });
  for (const [name, address, sign] of [
    ['notebooks', '/notebooks', 'First notebook'],
    ['notebook', `/notebooks/${notebook}`, 'A heading'],
    ['scripts', '/scripts', 'nightly'],
    ['tenant', '/tenant', 'Audit log'],
    ['files', `/files?in=${workspace}&path=data/planets.csv`, 'Venus'],
    ['sessions', '/sessions', 'Idle'],
    ['session', `/sessions/${session}`, 'ZeroDivisionError'],
    ['runs', '/runs', id.slice(-8)],
    ['run', `/runs/${id}`, 'Certificate'],
    ['overview', '/overview', 'Running now'],
    ['members', '/members', '(you)'],
    ['keys', '/keys', 'nightly'],
    ['settings', '/settings', 'Where you are signed in'],
    ['missing', '/nothing', 'There is nothing at this address'],
  ] as const) {
    await page.goto(address);
    await expect(page.getByText(sign).first()).toBeVisible();
    await inspect(page, name);
  }
  await page.setViewportSize({ width: 1024, height: 800 });
  await page.goto('/keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await inspect(page, 'new-key');
  await page.keyboard.press('Escape');
  await page.keyboard.press('Control+k');
  await inspect(page, 'palette');
});

test('everything in the playground is reached by Tab, and left again', async ({ page, context }) => {
  await signUp(context);
  const playground = new Playground(page);
  await playground.open();
  const reached = new Set<string>();
  for (let press = 0; press < 40; press += 1) {
    await page.keyboard.press('Tab');
    const where = await page.evaluate(() => {
      let active = document.activeElement;
      while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
      return active?.classList.contains('cm-content') ? 'editor' : (active?.getAttribute('aria-label') ?? active?.textContent?.trim() ?? '');
    });
    reached.add(where);
    if (where === 'editor') await page.keyboard.press('Escape');
  }
  for (const name of ['Skip to the page', 'Playground', 'Runs', 'Settings', 'Runtime', 'Examples', 'editor']) expect([...reached]).toContain(name);
  expect([...reached].some((name) => name.startsWith('Run '))).toBe(true);
});
