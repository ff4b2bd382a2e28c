/** Text for the Web UI, which reads CommonMark: whole lines, within a number of bytes. Pure. */

const MAX_LINE = 240
const encoder = new TextEncoder()

/** A database's words are not Markdown: stars, underscores and quotes stay as they are. */
export function code(text: string): string {
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``
}

/** @param path within the Web UI; encoded. */
export function link(text: string, path: string): string {
  return `[${text.replaceAll(/[\\[\]*_`<>]/g, (sign) => `\\${sign}`)}](${path})`
}

export function firstLine(text: string): string {
  const [line = ''] = text.split('\n')
  return line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line
}

/** The first lines that take no more than `limit` bytes; the first one always. */
export function fitting(lines: readonly string[], limit: number): readonly string[] {
  let left = limit
  const kept = lines.findIndex((line, index) => (left -= bytes(line) + 1) < 0 && index > 0)
  return kept === -1 ? lines : lines.slice(0, kept)
}

/** Whole lines only: half a line may open what it does not close. */
export function withinBytes(lines: readonly string[], limit: number): string {
  let left = limit
  const kept = lines.findIndex((line) => (left -= bytes(line) + 1) < 0)
  return (kept === -1 ? lines : lines.slice(0, kept)).join('\n')
}

function bytes(text: string): number {
  return encoder.encode(text).length
}
