/** The text of a `.env` file → variables, as python-dotenv reads it. Pure. */

export interface Dotenv {
  values: Record<string, string>
  /** Lines that are no `NAME=value`; their text is not told, it may be a secret. */
  badLines: number[]
}

const ENTRY =
  /^[^\S\n]*(?:export[^\S\n]+)?([^\s=#'"]+)[^\S\n]*(?:=[^\S\n]*(?:'((?:\\'|[^'])*)'[^\S\n]*(?:#.*)?|"((?:\\[\s\S]|[^"\\])*)"[^\S\n]*(?:#.*)?|(.*)))?$/my
const DOUBLE_ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

/**
 * `export`, quotes (values in quotes may span lines), comments, and `${NAME}` or `${NAME:-default}`, which mean what the
 * file has said before, else `env`. A name without `=` is passed over.
 */
export function parseDotenv(source: string, env: Readonly<Record<string, string | undefined>> = {}): Dotenv {
  const text = source.replaceAll('\r\n', '\n')
  const result: Dotenv = { values: {}, badLines: [] }
  let position = 0
  let line = 1
  while (position < text.length) {
    const end = lineEnd(text, position)
    const written = text.slice(position, end).trim()
    ENTRY.lastIndex = position
    const match = written === '' || written.startsWith('#') ? null : ENTRY.exec(text)
    if (match !== null) readEntry(match, result, env)
    else if (written !== '' && !written.startsWith('#')) result.badLines.push(line)
    const next = (match === null ? end : position + match[0].length) + 1
    line += text.slice(position, next).split('\n').length - 1
    position = next
  }
  return result
}

function readEntry(match: RegExpExecArray, result: Dotenv, env: Readonly<Record<string, string | undefined>>): void {
  const [, name = '', single, double, plain] = match
  const lookUp = (variable: string): string | undefined => result.values[variable] ?? env[variable]
  if (single !== undefined) result.values[name] = single.replaceAll("\\'", "'")
  else if (double !== undefined) {
    const unescaped = double.replaceAll(
      /\\([\s\S])/g,
      (all, char: string) => DOUBLE_ESCAPES[char] ?? ('"\\\''.includes(char) ? char : all),
    )
    result.values[name] = interpolate(unescaped, lookUp)
  } else if (plain !== undefined) result.values[name] = interpolate(plain.replace(/\s+#.*$|^#.*$/, '').trim(), lookUp)
}

function interpolate(text: string, lookUp: (name: string) => string | undefined): string {
  return text.replaceAll(
    /\$\{([^}:]+)(?::-([^}]*))?\}/g,
    (_, name: string, fallback?: string) => lookUp(name) ?? fallback ?? '',
  )
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from)
  return end === -1 ? text.length : end
}
