/** A chart of lines as SVG text, for reports that load nothing from anywhere. */

export interface ChartLine {
  readonly name: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

export interface Chart {
  readonly title: string;
  readonly lines: readonly ChartLine[];
  /** Whether y is a share, shown in per cent. */
  readonly isShare: boolean;
}

const WIDTH = 640;
const HEIGHT = 220;
const LEFT = 52;
const RIGHT = 12;
const TOP = 10;
const BOTTOM = 26;
const Y_TICKS = 4;

/** Told apart by those who see few colours, too: they differ in lightness and in dashes. */
const STROKES = ['#0b6bcb', '#c2410c', '#15803d', '#7e22ce', '#0e7490', '#a16207', '#be123c'];
const DASHES = ['', '6 3', '2 3', '8 3 2 3'];

/** The colour and the dashes of line number `index`. */
export const strokeOf = (index: number): string => {
  const dash = DASHES[index % DASHES.length] ?? '';
  const colour = STROKES[index % STROKES.length] ?? '#000';
  return `stroke="${colour}"${dash === '' ? '' : ` stroke-dasharray="${dash}"`}`;
};

/** A figure with title, axes and a legend. */
export function chartSvg({ title, lines, isShare }: Chart): string {
  const points = lines.flatMap((line) => line.points);
  const xMax = largest(points.map(({ x }) => x));
  const yMax = isShare
    ? Math.max(1, largest(points.map(({ y }) => y)))
    : largest(points.map(({ y }) => y));
  const xOf = (x: number) => LEFT + (x / xMax) * (WIDTH - LEFT - RIGHT);
  const yOf = (y: number) => HEIGHT - BOTTOM - (y / yMax) * (HEIGHT - TOP - BOTTOM);
  const grid = Array.from({ length: Y_TICKS + 1 }, (_, tick) => {
    const value = (yMax * tick) / Y_TICKS;
    const y = yOf(value).toFixed(1);
    const label = isShare ? `${Math.round(value * 100).toString()} %` : shortNumber(value);
    return `<line class="grid" x1="${LEFT.toString()}" y1="${y}" x2="${(WIDTH - RIGHT).toString()}" y2="${y}"/><text x="${(LEFT - 6).toString()}" y="${y}" text-anchor="end" dominant-baseline="middle">${label}</text>`;
  });
  const paths = lines.map(({ points: own }, index) => {
    const joined = own.map(({ x, y }) => `${xOf(x).toFixed(1)},${yOf(y).toFixed(1)}`).join(' ');
    return `<polyline fill="none" stroke-width="1.6" ${strokeOf(index)} points="${joined}"/>`;
  });
  const end = `<text x="${(WIDTH - RIGHT).toString()}" y="${(HEIGHT - 8).toString()}" text-anchor="end">${shortTime(xMax)}</text>`;
  const start = `<text x="${LEFT.toString()}" y="${(HEIGHT - 8).toString()}">0</text>`;
  const legend = lines.map(
    ({ name }, index) =>
      `<span><svg width="26" height="8"><line x1="0" y1="4" x2="26" y2="4" stroke-width="2" ${strokeOf(index)}/></svg> ${escapeHtml(name)}</span>`,
  );
  return `<figure><figcaption>${escapeHtml(title)}</figcaption><svg viewBox="0 0 ${WIDTH.toString()} ${HEIGHT.toString()}" role="img" aria-label="${escapeHtml(title)}">${[...grid, start, end, ...paths].join('')}</svg><p class="legend">${legend.join(' ')}</p></figure>`;
}

/** Text that means nothing to a browser but itself. */
export const escapeHtml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');

/** At least a little, so that nothing is divided by 0. */
const largest = (values: readonly number[]): number =>
  values.reduce((left, right) => Math.max(left, right), 0) || 1;

const shortNumber = (value: number): string => Number(value.toPrecision(3)).toString();

const TIMES = [
  { s: 86_400, unit: 'd' },
  { s: 3_600, unit: 'h' },
  { s: 60, unit: 'min' },
];

/** `3.5 d`, `12 s` */
function shortTime(seconds: number): string {
  const { s, unit } = TIMES.find((time) => seconds >= 2 * time.s) ?? { s: 1, unit: 's' };
  return `${shortNumber(seconds / s)} ${unit}`;
}
