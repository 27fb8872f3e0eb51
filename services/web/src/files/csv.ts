/** Comma separated values as rows, so far as one looks at them. RFC 4180, with the separator found in the first line. */

const SEPARATORS = [',', '\t', ';', '|'];

export type Sheet = { rows: string[][]; /** There is more than what is here. */ cut: boolean };

export function readSheet(text: string, mostRows: number, mostColumns: number): Sheet {
  const separator = likeliest(text.slice(0, text.indexOf('\n') + 1 || text.length));
  const rows: string[][] = [];
  let row: string[] = [];
  let field = '';
  let quoted = false;
  let cut = false;
  const endField = () => {
    if (row.length < mostColumns) row.push(field);
    else cut = true;
    field = '';
  };
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (quoted) {
      if (sign !== '"') field += sign;
      else if (text[at + 1] === '"') field += text[(at += 1)];
      else quoted = false;
    } else if (sign === '"' && field === '') quoted = true;
    else if (sign === separator) endField();
    else if (sign === '\n' || sign === '\r') {
      if (sign === '\r' && text[at + 1] === '\n') at += 1;
      endField();
      rows.push(row);
      row = [];
      if (rows.length === mostRows) return { rows, cut: cut || at + 1 < text.length };
    } else field += sign;
  }
  if (field !== '' || row.length > 0) {
    endField();
    rows.push(row);
  }
  return { rows, cut };
}

function likeliest(line: string): string {
  const times = (separator: string) => line.split(separator).length;
  return SEPARATORS.reduce((best, separator) => (times(separator) > times(best) ? separator : best));
}

/** Whether all but the first row have figures in that column, so that it reads better set to the right. */
export function isNumeric(rows: readonly string[][], column: number): boolean {
  const values = rows.slice(1).map((row) => row[column]?.trim() ?? '').filter((value) => value !== '');
  return values.length > 0 && values.every((value) => Number.isFinite(Number(value.replaceAll(/[,_%](?=\d|$)/g, ''))));
}
