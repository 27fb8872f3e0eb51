/** A person with an account, and what they do in the app. */
import { randomUUID } from 'node:crypto';
import { test as base, expect, type BrowserContext, type Locator, type Page } from '@playwright/test';

export const PASSWORD = 'a kiln burns very hot';

/** Signs up in this browser profile; the cookie is then the profile's. Gives the address and an access token. */
export async function signUp(context: BrowserContext): Promise<{ email: string; token: string }> {
  const email = `${randomUUID()}@example.com`;
  const answer = await context.request.post('/api/v1/auth/signup', { data: { email, password: PASSWORD, name: 'Ada' } });
  expect(answer.status()).toBe(201);
  return { email, token: ((await answer.json()) as { access_token: string }).access_token };
}

export class Playground {
  readonly output: Locator;
  readonly input: Locator;
  readonly runButton: Locator;
  readonly stopButton: Locator;

  constructor(readonly page: Page) {
    this.output = page.getByRole('region', { name: 'Output' });
    this.input = page.getByLabel('Input for the program');
    this.runButton = page.getByRole('button', { name: /^Run/ });
    this.stopButton = page.getByRole('button', { name: 'Stop', exact: true });
  }

  async open(): Promise<void> {
    await this.page.goto('/');
    await expect(this.page.locator('.cm-content')).toBeVisible();
    await expect(this.page.getByLabel('Runtime')).not.toHaveValue('');
  }

  /** Pastes the code over what is in the editor. */
  async write(code: string): Promise<void> {
    await this.page.locator('.cm-content').click();
    await this.page.keyboard.press('Control+a');
    await this.page.evaluate((text) => navigator.clipboard.writeText(text), code);
    await this.page.keyboard.press('Control+v');
  }

  /** Chooses the runtime that sends figures; it is built in the background after the first start. */
  async chooseScientific(): Promise<void> {
    test.setTimeout(240_000);
    const option = this.page.locator('select[aria-label=Runtime] option[value=base]');
    await expect(async () => {
      await this.page.reload();
      await expect(option).toBeEnabled({ timeout: 2_000 });
    }).toPass({ timeout: 180_000 });
    await this.page.getByLabel('Runtime').selectOption('base');
    await expect(this.page.locator('.cm-content')).toBeVisible();
  }

  async run(code: string): Promise<void> {
    await this.write(code);
    await this.runButton.click();
  }

  status(name: string): Locator {
    return this.page.locator('.run .status', { hasText: name });
  }

  async ended(name: string): Promise<void> {
    await expect(this.status(name)).toBeVisible({ timeout: 20_000 });
  }
}

type Fixtures = { account: { email: string; token: string }; playground: Playground; complaints: string[] };

/** Every test also fails when the page breaks or the policy refuses something of ours. */
export const test = base.extend<Fixtures>({
  complaints: [
    async ({ page }, use) => {
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(error.message));
      page.on('console', (message) => {
        if (message.type() === 'error' && /Content Security Policy|Refused to/.test(message.text())) complaints.push(message.text());
      });
      await use(complaints);
      expect(complaints).toEqual([]);
    },
    { auto: true },
  ],
  account: async ({ context }, use) => use(await signUp(context)),
  playground: async ({ page, account }, use) => {
    void account;
    const playground = new Playground(page);
    await playground.open();
    await use(playground);
  },
});

export { expect };
