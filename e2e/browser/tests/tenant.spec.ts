/** People of a tenant: invited, joined, promoted, removed; and passwords. */
import { linkFor } from '../support/mail';
import { expect, PASSWORD, signUp, test } from '../support/person';

test('an owner invites, the invited one joins by the link, and what a role may not do is said', async ({ page, context, browser, account }) => {
  void account;
  await page.goto('/members');
  const guest = await browser.newContext({ baseURL: process.env.KILN_URL });
  const { email } = await signUp(guest);
  await page.getByRole('button', { name: 'Invite' }).click();
  await page.getByLabel('E-mail').fill('nobody');
  await page.getByRole('dialog').getByRole('button', { name: 'Invite' }).click();
  await expect(page.getByLabel('E-mail')).toHaveAttribute('aria-invalid', 'true');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Role', { exact: true }).selectOption('viewer');
  await page.getByRole('dialog').getByRole('button', { name: 'Invite' }).click();
  const link = await page.getByLabel('The link').inputValue();
  await page.getByRole('button', { name: 'Done' }).click();
  await expect(page.getByRole('cell', { name: email, exact: true })).toBeVisible();

  const there = await guest.newPage();
  await there.goto(link);
  expect(there.url()).not.toContain('token');
  await there.getByRole('button', { name: 'Accept the invitation' }).click();
  await expect(there.getByText(/You are in Ada, as viewer/)).toBeVisible();
  await expect(there.getByRole('button', { name: /^Run/ })).toBeDisabled();
  await there.goto('/members');
  await expect(there.getByText('Only admins and owners see the members')).toBeVisible();

  await page.reload();
  await page.getByRole('row', { name: email }).getByRole('combobox').selectOption('member');
  await expect(page.getByText('Ada is member now.')).toBeVisible();
  await expect(async () => {
    await there.goto('/');
    await expect(there.getByRole('button', { name: /^Run/ })).toBeEnabled({ timeout: 1_000 });
  }).toPass({ timeout: 20_000 });
  await page.getByRole('row', { name: email }).getByRole('button', { name: /Remove/ }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByRole('row', { name: email })).toHaveCount(0);
  await guest.close();
  void context;
});

test('a password is changed by who knows it, and the new one counts', async ({ page, account, browser }) => {
  await page.goto('/settings');
  await page.getByLabel('Present password').fill('this is not the one');
  await page.getByLabel('New password').fill('another kiln, hotter still');
  await page.getByRole('button', { name: 'Change the password' }).click();
  await expect(page.getByText('Is not right.')).toBeVisible();
  await page.getByLabel('Present password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Change the password' }).click();
  await expect(page.getByText('The password is changed')).toBeVisible();
  const other = await browser.newContext({ baseURL: process.env.KILN_URL });
  const login = (password: string) => other.request.post('/api/v1/auth/login', { data: { email: account.email, password } });
  expect((await login(PASSWORD)).status()).toBe(401);
  expect((await login('another kiln, hotter still')).status()).toBe(200);
  await other.close();
});

test('a forgotten password: the link in the mail chooses a new one, once', async ({ page, account }) => {
  await page.context().clearCookies();
  await page.goto('/login');
  await page.getByRole('link', { name: 'Forgot the password?' }).click();
  await page.getByLabel('E-mail').fill(account.email);
  await page.getByRole('button', { name: 'Send the mail' }).click();
  await expect(page.getByText(/has an account here/)).toBeVisible();

  const link = new URL(await linkFor(account.email));
  for (const verdict of ['It is changed', 'refused'] as const) {
    await page.goto('about:blank');
    await page.goto(link.pathname + link.hash);
    await page.getByLabel('New password').fill('another kiln, hotter still');
    await page.getByRole('button', { name: 'Change it' }).click();
    if (verdict === 'refused') await expect(page.getByRole('alert')).toContainText(/\w/);
    else await expect(page.getByText(verdict)).toBeVisible();
  }
  await page.goto('/login');
  await page.getByLabel('E-mail').fill(account.email);
  await page.locator('input[name=password]').fill('another kiln, hotter still');
  await page.getByRole('button', { name: 'Log in' }).click();
  await expect(page.getByRole('button', { name: /^Run/ })).toBeVisible();
});
