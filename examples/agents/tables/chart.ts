export const CHART_KINDS = ['bar', 'line'] as const;

export interface Chart {
  readonly kind: (typeof CHART_KINDS)[number];
  readonly title: string;
  readonly xLabel: string;
  readonly yLabel: string;
  /** One at least; labels in the order drawn. */
  readonly points: readonly { readonly label: string; readonly value: number }[];
}

const WIDTH = 800;
const HEIGHT = 450;
const PLOT = { left: 90, right: 780, top: 50, bottom: 350 };
const MAX_X_LABELS = 16;
const LABEL_CHARS = 18;
const INK = '#1f2937';
const MUTED = '#9ca3af';
const COLOUR = '#2563eb';

/** Draws a chart as SVG 1.1: title, labelled axes, and a zero line. */
export function renderChart({ kind, title, xLabel, yLabel, points }: Chart): string {
  const ticks = niceTicks(points.map(({ value }) => value));
  const low = ticks[0] ?? 0;
  const high = ticks.at(-1) ?? 1;
  const y = (value: number) => fixed(PLOT.bottom - ((value - low) / (high - low)) * (PLOT.bottom - PLOT.top));
  const slot = (PLOT.right - PLOT.left) / points.length;
  const x = (index: number) => fixed(PLOT.left + slot * (index + 0.5));
  const middle = (PLOT.left + PLOT.right) / 2;
  const every = Math.ceil(points.length / MAX_X_LABELS);
  const marks =
    kind === 'bar'
      ? points.map(({ label, value }, index) => {
          const top = y(Math.max(0, value));
          const size = `width="${fixed(slot * 0.7)}" height="${fixed(y(Math.min(0, value)) - top)}"`;
          const tip = `<title>${escapeXml(`${label}: ${format(value)}`)}</title>`;
          return `<rect x="${fixed(x(index) - slot * 0.35)}" y="${top}" ${size} fill="${COLOUR}">${tip}</rect>`;
        })
      : [
          `<polyline fill="none" stroke="${COLOUR}" stroke-width="2" points="${points.map(({ value }, index) => `${x(index)},${y(value)}`).join(' ')}"/>`,
          ...(points.length > 60
            ? []
            : points.map(({ value }, at) => `<circle cx="${x(at)}" cy="${y(value)}" r="3" fill="${COLOUR}"/>`)),
        ];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12" fill="${INK}">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#ffffff"/>`,
    text(middle, 28, title, 'text-anchor="middle" font-size="16" font-weight="bold"'),
    ...ticks.flatMap((tick) => [
      `<line x1="${PLOT.left}" x2="${PLOT.right}" y1="${y(tick)}" y2="${y(tick)}" stroke="${tick === 0 ? INK : MUTED}" stroke-width="${tick === 0 ? 1 : 0.4}"/>`,
      text(PLOT.left - 8, y(tick) + 4, format(tick), 'text-anchor="end"'),
    ]),
    `<line x1="${PLOT.left}" x2="${PLOT.left}" y1="${PLOT.top}" y2="${PLOT.bottom}" stroke="${INK}"/>`,
    ...marks,
    ...points.flatMap(({ label }, index) => {
      if (index % every !== 0) return [];
      const short = label.length > LABEL_CHARS ? `${label.slice(0, LABEL_CHARS - 1)}…` : label;
      const at = `${x(index)} ${PLOT.bottom + 16}`;
      return [
        text(
          x(index),
          PLOT.bottom + 16,
          short,
          points.length > 6 ? `text-anchor="end" transform="rotate(-35 ${at})"` : 'text-anchor="middle"',
        ),
      ];
    }),
    text(middle, HEIGHT - 14, xLabel, 'text-anchor="middle"'),
    text(
      20,
      (PLOT.top + PLOT.bottom) / 2,
      yLabel,
      `text-anchor="middle" transform="rotate(-90 20 ${(PLOT.top + PLOT.bottom) / 2})"`,
    ),
    '</svg>',
  ].join('\n');
}

/** Round numbers, evenly spaced, from at most the least of the values and 0 to at least the greatest. */
export function niceTicks(values: readonly number[], about = 5): number[] {
  const low = values.reduce((least, value) => Math.min(least, value), 0);
  const high = values.reduce((most, value) => Math.max(most, value), 0);
  const rough = (high - low || 1) / about;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.floor(low / step);
  const last = Math.max(Math.ceil(high / step), first + 1);
  return Array.from({ length: last - first + 1 }, (_, index) => Number(((first + index) * step).toPrecision(12)));
}

/** Text as XML 1.0 can carry it: markup escaped, what XML forbids (controls, lone surrogates) replaced by a space. */
export function escapeXml(value: string): string {
  return value
    .replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&apos;');
}

function text(x: number, y: number, value: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escapeXml(value)}</text>`;
}

function fixed(value: number): number {
  return Number(value.toFixed(2));
}

function format(value: number): string {
  return new Intl.NumberFormat('en-US', { maximumSignificantDigits: 6 }).format(value);
}
