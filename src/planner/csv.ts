/** Tables of text: rows with the line that each stands on, and faults that say where and what. */

/** One row; a cell that is empty or missing is absent. */
export interface CsvRow {
  readonly line: number;
  readonly cells: ReadonlyMap<string, string>;
}

export interface CsvTable {
  /** As faults name it. */
  readonly file: string;
  readonly columns: readonly string[];
  readonly rows: readonly CsvRow[];
}

/** What is wrong in a file: where, and what would be right. */
export class FileFault extends Error {
  override readonly name = 'FileFault';

  constructor(file: string, line: number, field: string | null, message: string) {
    super(`${file}, line ${line.toString()}${field === null ? '' : `, ${field}`}: ${message}`);
  }
}

/**
 * Reads a table whose first line names its columns. Cells may stand in double quotes; empty lines
 * and lines that begin with # are passed over.
 * @throws FileFault
 */
export function parseCsv(file: string, text: string): CsvTable {
  const lines = text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\n|\r/)
    .map((content, index) => ({ content, line: index + 1 }))
    .filter(({ content }) => content.trim() !== '' && !content.startsWith('#'));
  const [head, ...body] = lines;
  if (head === undefined) {
    throw new FileFault(file, 1, null, 'is empty; its first line must name the columns');
  }
  const columns = cellsOf(file, head.line, head.content);
  const twice = columns.find((name, index) => columns.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new FileFault(file, head.line, twice, 'is named twice; every column must be there once');
  }
  const rows = body.map(({ content, line }): CsvRow => {
    const cells = cellsOf(file, line, content);
    if (cells.length !== columns.length) {
      const [found, wanted] = [cells.length.toString(), columns.length.toString()];
      throw new FileFault(file, line, null, `has ${found} cells; it must have ${wanted}`);
    }
    return {
      line,
      cells: new Map(
        columns
          .map((name, at) => [name, cells[at] ?? ''] as const)
          .filter(([, cell]) => cell !== ''),
      ),
    };
  });
  return { file, columns, rows };
}

/** A quoted cell (with "" for a quote in it) or a bare one, and what ends it. */
const CELL = /\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(,|$)/y;

function cellsOf(file: string, line: number, content: string): readonly string[] {
  const cells: string[] = [];
  let isLast = false;
  CELL.lastIndex = 0;
  while (!isLast) {
    const at = CELL.lastIndex;
    const found = CELL.exec(content);
    if (found === null) {
      const place = (at + 1).toString();
      throw new FileFault(file, line, null, `a quote is not closed, from character ${place} on`);
    }
    cells.push((found[1]?.replaceAll('""', '"') ?? found[2] ?? '').trim());
    isLast = found[3] !== ',';
  }
  return cells;
}
