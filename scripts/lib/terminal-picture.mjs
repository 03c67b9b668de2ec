/** Draws lines of a terminal as an SVG that follows the reader's light or dark scheme. */

const LINE_HEIGHT = 19;
const CHARACTER = 7.8;
const PADDING = 16;

/** What is coloured, by class: the first that matches a part of a line counts. */
const COLOURS = [
  ['prompt', /^\$ .*/],
  ['good', /✔|█+|\b(?:UP|RUNNING|CLOSED|yes)\b/],
  ['bad', /\b(?:killed|STOPPING|DRAINING|EJECTED|UNAVAILABLE)\b/],
  ['head', /^[A-Z][A-Z-]*(?: {2,}[A-Z-]+)+$/],
];

export function terminalPicture({ title, description, lines }) {
  const columns = Math.max(...lines.map((line) => [...line].length));
  const width = Math.ceil(columns * CHARACTER + 2 * PADDING);
  const height = lines.length * LINE_HEIGHT + 2 * PADDING;
  const rows = lines.map(
    (line, index) =>
      `  <text x="${PADDING}" y="${PADDING + 14 + index * LINE_HEIGHT}" xml:space="preserve">${coloured(line)}</text>`,
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title desc"
  font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="13">
  <title id="title">${escaped(title)}</title>
  <desc id="desc">${escaped(description)}</desc>
  <style>
    .screen { fill: #f6f8fa; stroke: #d0d7de; }
    text { fill: #1f2328; }
    .prompt { fill: #0550ae; font-weight: 600; }
    .good { fill: #1a7f37; }
    .bad { fill: #bc4c00; }
    .head { fill: #57606a; }
    @media (prefers-color-scheme: dark) {
      .screen { fill: #0d1117; stroke: #30363d; }
      text { fill: #e6edf3; }
      .prompt { fill: #79c0ff; }
      .good { fill: #3fb950; }
      .bad { fill: #f0883e; }
      .head { fill: #8b949e; }
    }
  </style>
  <rect class="screen" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8"/>
${rows.join('\n')}
</svg>
`;
}

function coloured(line) {
  for (const [name, pattern] of COLOURS) {
    const match = pattern.exec(line);
    if (match === null) continue;
    const before = line.slice(0, match.index);
    const after = line.slice(match.index + match[0].length);
    return `${coloured(before)}<tspan class="${name}">${escaped(match[0])}</tspan>${coloured(after)}`;
  }
  return escaped(line);
}

const escaped = (text) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
