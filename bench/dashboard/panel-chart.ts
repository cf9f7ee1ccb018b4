/** A line of a panel. */
interface Line {
  readonly label: string;
  /** Points in the order of time. */
  readonly points: readonly Point[];
}

/** Time in seconds, value. */
type Point = readonly [time: number, value: number];

/** Lines on a scale of their own, from zero. */
export interface LinePanel {
  readonly title: string;
  readonly lines: readonly Line[];
  /** Text of the largest value. */
  readonly format: (value: number) => string;
}

const COLUMNS = 2;
const WIDTH = 420;
const HEIGHT = 150;
const MARGIN = { left: 58, right: 12, top: 40, bottom: 8 };
const HEADING = 36;
/** Seconds without a point after which a line is interrupted. */
const GAP = 1.5;
const COLOURS = ['#1565c0', '#e65100', '#2e7d32', '#6a1b9a', '#b71c1c', '#00838f'];

/** Panels in two columns, over the same seconds. A whole SVG file. */
export function panelChart(heading: string, panels: readonly LinePanel[], seconds: number): string {
  const [width, height] = [COLUMNS * WIDTH, HEADING + Math.ceil(panels.length / COLUMNS) * HEIGHT];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="11" fill="#263238">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    text(12, 22, heading, 'font-size="14" font-weight="600"'),
    ...panels.flatMap((panel, index) => {
      const [x, y] = [(index % COLUMNS) * WIDTH, HEADING + Math.floor(index / COLUMNS) * HEIGHT];
      return [`<g transform="translate(${x} ${y})">`, ...drawPanel(panel, seconds), '</g>'];
    }),
    '</svg>\n',
  ].join('\n');
}

function drawPanel({ title, lines, format }: LinePanel, seconds: number): string[] {
  const { left, right, top, bottom } = MARGIN;
  const largest = Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value)));
  const place = ([time, value]: Point, index: number, points: readonly Point[]): string => {
    const before = points[index - 1];
    const move = before === undefined || time - before[0] > GAP ? 'M' : 'L';
    const x = left + ((WIDTH - left - right) * time) / seconds;
    const y = HEIGHT - bottom - ((HEIGHT - top - bottom) * value) / (largest || 1);
    return `${move}${x.toFixed(0)} ${y.toFixed(1)}`;
  };
  const legend = lines.map(({ label }, index) => `<tspan fill="${colour(index)}" dx="8">${escape(label)}</tspan>`);
  return [
    text(12, 16, title, 'font-weight="600"'),
    `<text x="${left - 8}" y="32">${legend.join('')}</text>`,
    `<path d="M${left} ${top}V${HEIGHT - bottom}H${WIDTH - right}" fill="none" stroke="#90a4ae"/>`,
    text(left - 4, top + 6, format(largest), 'text-anchor="end"'),
    text(left - 4, HEIGHT - bottom, '0', 'text-anchor="end"'),
    ...lines.map(({ points }, index) => {
      return `<path fill="none" stroke="${colour(index)}" stroke-width="1.3" d="${points.map(place).join('')}"/>`;
    }),
  ];
}

function colour(index: number): string {
  return COLOURS[index % COLOURS.length] as string;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
