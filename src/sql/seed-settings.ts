/** `csv_settings` of a seed, in the words of pandas' `read_csv` → what DuckDB's reader needs. Pure. */
import { MillraceError } from '../errors.ts'
import { tokenize, type Token } from './lexer.ts'

/** The kind's `csv_settings` as its header has them. */
export type CsvSettings = Readonly<Record<string, string | boolean>>

export interface SeedSettings {
  delimiter: string
  quote: string
  /** What escapes a quote within quotes; empty: nothing does. */
  escape: string
  skipInitialSpace: boolean
  /** In DuckDB's spelling; null: found by DuckDB. */
  newLine: string | null
  encoding: string | null
  /** Cells that mean "no value", in every column. */
  missing: string[]
  /** More of them for single columns. */
  missingByColumn: Map<string, string[]>
}

/** What pandas takes for a missing value. */
const MISSING = ['', '#N/A', '#N/A N/A', '#NA', '-1.#IND', '-1.#QNAN', '-NaN', '-nan', '1.#IND', '1.#QNAN'].concat([
  '<NA>',
  'N/A',
  'NA',
  'NULL',
  'NaN',
  'None',
  'n/a',
  'nan',
  'null',
])
const ESCAPES: Readonly<Record<string, string>> = {
  '\\t': '\t',
  '\\n': '\n',
  '\\r': '\r',
  '\\r\\n': '\r\n',
  '\\\\': '\\',
}
const NEW_LINES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\r\n': '\\r\\n' }
const ENCODINGS: Readonly<Record<string, string>> = {
  utf8: 'utf-8',
  utf8sig: 'utf-8',
  utf16: 'utf-16',
  latin1: 'latin-1',
  iso88591: 'latin-1',
  ascii: 'utf-8',
}

/** @throws MillraceError SEED for a setting that DuckDB cannot follow */
export function parseSeedSettings(settings: CsvSettings = {}): SeedSettings {
  const quote = character(settings, 'quotechar') ?? '"'
  const escape = character(settings, 'escapechar') ?? (flag(settings, 'doublequote') === false ? '' : quote)
  const given = parseMissing(text(settings, 'na_values'))
  return {
    delimiter: parseDelimiter(settings),
    quote,
    escape,
    skipInitialSpace: flag(settings, 'skipinitialspace') ?? false,
    newLine: parseNewLine(settings),
    encoding: parseEncoding(settings),
    missing: [...new Set([...(flag(settings, 'keep_default_na') === false ? [] : MISSING), ...given.everywhere])],
    missingByColumn: given.byColumn,
  }
}

function parseDelimiter(settings: CsvSettings): string {
  const delimiter = text(settings, 'delimiter') ?? ','
  const length = new TextEncoder().encode(delimiter).length
  if (length < 1 || length > 4) throw wrong('delimiter', 'a text of one to four bytes', delimiter)
  return delimiter
}

function parseNewLine(settings: CsvSettings): string | null {
  const given = text(settings, 'lineterminator')
  if (given === null) return null
  const newLine = NEW_LINES[given]
  if (newLine === undefined) throw wrong('lineterminator', String.raw`'\n', '\r' or '\r\n'`, given)
  return newLine
}

/** Names that Python knows are put in DuckDB's spelling; any other is DuckDB's to know. */
function parseEncoding(settings: CsvSettings): string | null {
  const given = text(settings, 'encoding')
  return given === null ? null : (ENCODINGS[given.toLowerCase().replaceAll(/[-_]/g, '')] ?? given)
}

function character(settings: CsvSettings, name: string): string | null {
  const given = text(settings, name)
  if (given !== null && given.length !== 1) throw wrong(name, 'one character', given)
  return given
}

function text(settings: CsvSettings, name: string): string | null {
  const value = settings[name]
  return value === undefined ? null : (ESCAPES[String(value)] ?? String(value))
}

function flag(settings: CsvSettings, name: string): boolean | null {
  const value = settings[name]
  if (value === undefined) return null
  const folded = String(value).toLowerCase()
  if (['true', '1', 't', 'y', 'yes', 'on'].includes(folded)) return true
  if (['false', '0', 'f', 'n', 'no', 'off'].includes(folded)) return false
  throw wrong(name, 'true or false', String(value))
}

interface MissingValues {
  everywhere: string[]
  byColumn: Map<string, string[]>
}

/** `'-'`, `('-', 9)`, `['-']`, or by column `(a = ('-'), b = ('x', 'y'))`. */
function parseMissing(written: string | null): MissingValues {
  const result: MissingValues = { everywhere: [], byColumn: new Map() }
  if (written === null) return result
  if (!/^\s*[([{]/.test(written))
    return { ...result, everywhere: [/^'.*'$/s.test(written) ? unquoted(written) : written] }
  let column: string | null = null
  let depth = 0
  const tokens = tokenize(written).filter((token) => token.type !== 'comment')
  for (const [index, token] of tokens.entries()) {
    if (['(', '[', '{'].includes(token.text)) depth += 1
    else if ([')', ']', '}'].includes(token.text)) depth -= 1
    else if (['=', ':=', ':'].includes(token.text)) continue
    else if (token.text === ',') column = depth === 1 ? null : column
    else if (isKey(tokens[index + 1])) column = token.value
    else {
      const value = tokens[index - 1]?.text === '-' ? `-${token.value}` : token.value
      if (token.text === '-' && token.type === 'operator') continue
      if (column === null) result.everywhere.push(value)
      else result.byColumn.set(column, [...(result.byColumn.get(column) ?? []), value])
    }
  }
  return result
}

function isKey(next: Token | undefined): boolean {
  return next !== undefined && ['=', ':=', ':'].includes(next.text)
}

function unquoted(written: string): string {
  return tokenize(written)[0]?.value ?? written
}

function wrong(name: string, expected: string, got: string): MillraceError {
  return new MillraceError('SEED', `csv_settings: expected ${name} to be ${expected}, got '${got}'`)
}
