/** A notebook as a person uses it. */
import { expect, type APIRequestContext, type Locator, type Page } from '@playwright/test';

export type CellBody = { id: string; cell_type: string; source: string; metadata?: object; outputs?: unknown[]; execution_count?: number | null };

export function code(id: string, source: string, outputs: unknown[] = []): CellBody {
  return { id, cell_type: 'code', source, metadata: {}, outputs, execution_count: null };
}

export function text(id: string, source: string): CellBody {
  return { id, cell_type: 'markdown', source, metadata: {} };
}

export async function makeNotebook(request: APIRequestContext, token: string, cells: CellBody[], more: object = {}): Promise<string> {
  const content = { nbformat: 4, nbformat_minor: 5, metadata: {}, cells };
  const answer = await request.post('/api/v1/notebooks', { headers: { authorization: `Bearer ${token}` }, data: { name: 'Work', content, ...more } });
  expect(answer.status()).toBe(201);
  return ((await answer.json()) as { id: string }).id;
}

export async function readNotebook(request: APIRequestContext, token: string, id: string): Promise<{ content: { cells: CellBody[]; metadata: Record<string, unknown> }; etag: string }> {
  const answer = await request.get(`/api/v1/notebooks/${id}`, { headers: { authorization: `Bearer ${token}` } });
  expect(answer.status()).toBe(200);
  return { ...((await answer.json()) as { content: { cells: CellBody[]; metadata: Record<string, unknown> } }), etag: answer.headers()['etag'] ?? '' };
}

export class NotebookPage {
  readonly cells: Locator;

  constructor(readonly page: Page) {
    this.cells = page.getByRole('article');
  }

  async open(id: string): Promise<void> {
    await this.page.goto(`/notebooks/${id}`);
    await expect(this.cells.first()).toBeVisible();
  }

  cell(index: number): Locator {
    return this.cells.nth(index);
  }

  /** Writes over the cell that is chosen, and stays in it. */
  async write(text: string): Promise<void> {
    await this.page.keyboard.press('Control+a');
    await this.page.evaluate((code) => navigator.clipboard.writeText(code), text);
    await this.page.keyboard.press('Control+v');
  }

  /** Chooses the cell, in the command mode. */
  async choose(index: number): Promise<void> {
    await this.cell(index).locator('.side').click({ position: { x: 4, y: 2 } });
    await expect(this.cell(index)).toHaveAttribute('aria-current', 'true');
  }

  async edit(index: number): Promise<void> {
    await this.choose(index);
    await this.page.keyboard.press('Enter');
    await expect(this.cell(index).locator('.cm-content')).toBeFocused();
  }

  async saved(): Promise<void> {
    await expect(this.page.getByText('Saved', { exact: true })).toBeVisible();
  }

  async texts(): Promise<string[]> {
    return this.cells.evaluateAll((cells) => cells.map((cell) => cell.querySelector('.host')?.shadowRoot?.querySelector('.cm-content')?.textContent ?? cell.querySelector('pre, .rendered')?.textContent?.trim() ?? ''));
  }
}
