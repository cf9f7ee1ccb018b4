/** A bar with its spread. */
interface Bar {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  /** Whether the bar is Preamble's, which has the strong colour. */
  readonly ours: boolean;
}

/** Bars on a scale of their own. */
export interface Panel {
  readonly title: string;
  readonly bars: readonly Bar[];
}

const WIDTH = 760;
const LABELS = 190;
const VALUES = 130;
const BAR = 18;
const PITCH = 26;
const TITLE = 34;
const MARGIN = 16;
const COLOURS = { ours: '#1565c0', others: '#9aa5b1', whisker: '#263238', text: '#263238' };

/** Horizontal bars in panels one above the other, each from zero; the whiskers are the spread. A whole SVG file. */
export function barChart(heading: string, panels: readonly Panel[]): string {
  const heights = panels.map(({ bars }) => TITLE + PITCH * bars.length + MARGIN);
  const tops = panels.map((_, index) => TITLE + heights.slice(0, index).reduce((sum, height) => sum + height, 0));
  const height = TITLE + heights.reduce((sum, value) => sum + value, 0);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" font-family="system-ui, sans-serif" font-size="13" fill="${COLOURS.text}">`,
    `<rect width="${WIDTH}" height="${height}" fill="white"/>`,
    text(MARGIN, 24, heading, 'font-size="15" font-weight="600"'),
    ...panels.flatMap((panel, index) => drawPanel(panel, tops[index] ?? 0)),
    '</svg>\n',
  ].join('\n');
}

function drawPanel({ title, bars }: Panel, top: number): string[] {
  const largest = Math.max(...bars.map(({ max }) => max));
  const scale = (WIDTH - LABELS - VALUES) / (largest > 0 ? largest : 1);
  const bottom = top + TITLE + PITCH * bars.length;
  return [
    text(MARGIN, top + 22, title, 'font-weight="600"'),
    ...bars.flatMap((bar, index) => drawBar(bar, top + TITLE + PITCH * index, scale)),
    `<path d="M${LABELS} ${top + TITLE - 4}V${bottom}" stroke="${COLOURS.whisker}"/>`,
  ];
}

function drawBar({ label, value, min, max, ours }: Bar, top: number, scale: number): string[] {
  const middle = top + BAR / 2;
  const x = (amount: number): string => (LABELS + scale * amount).toFixed(1);
  const fill = ours ? COLOURS.ours : COLOURS.others;
  return [
    text(LABELS - 8, middle + 5, label, 'text-anchor="end"'),
    `<rect x="${LABELS}" y="${top}" width="${(scale * value).toFixed(1)}" height="${BAR}" fill="${fill}"/>`,
    `<path d="M${x(min)} ${middle}H${x(max)}M${x(min)} ${middle - 4}v8M${x(max)} ${middle - 4}v8" stroke="${COLOURS.whisker}" fill="none"/>`,
    text(LABELS + scale * max + 8, middle + 5, `${Math.round(value)} (${Math.round(min)}-${Math.round(max)})`),
  ];
}

function text(x: number, y: number, content: string, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(0)}" y="${y.toFixed(0)}"${attributes && ` ${attributes}`}>${escaped}</text>`;
}
