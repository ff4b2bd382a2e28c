/**
 * The SQL that reads a seed's CSV file, with the types and missing values that pandas' `read_csv` finds, because
 * SQLMesh reads seeds with it. Every cell is read as text and cast here, so nothing depends on a sniffer's sample.
 * Not like pandas, on purpose: text keeps leading zeros and is never spelled as a float, a text that is no boolean is an
 * error, and repeated or empty names in the first line are DuckDB's (`a_1`, `column2`). Pure.
 */
import { quoteIdentifier, quoteString } from './identifiers.ts'
import { parseSeedSettings, type CsvSettings, type SeedSettings } from './seed-settings.ts'

/** A column of a seed: declared in the model's header, or found by `seedColumnsQuery`. */
export interface SeedColumn {
  name: string
  /** A DuckDB type. */
  type: string
  /** Text that is true and false with gaps: pandas keeps such a column as text, spelled in lower case. */
  lowercase?: boolean
}

/** Month before day, as pandas reads them; day first is ambiguous and stays an error. */
const DATE_FORMATS = [
  '%m/%d/%Y',
  '%m/%d/%Y %H:%M',
  '%m/%d/%Y %H:%M:%S',
  '%b %d, %Y',
  '%B %d, %Y',
  '%d-%b-%Y',
  '%d %B %Y',
]
const TRUE_TEXTS = ['true', '1', 't', 'y', 'yes', 'on']
const FALSE_TEXTS = ['false', '0', 'f', 'n', 'no', 'off']
const INTEGER = String.raw`\s*[+-]?\d+\s*`
const FLOAT = String.raw`\s*[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity))\s*`
const TRUTH = '(True|TRUE|true|False|FALSE|false)'

/**
 * A query for a seed's rows. Columns come in the order given; columns of the file that are not among them are left out.
 * Missing values are NULL; a cell that is not of its type is a conversion error.
 * @param path absolute
 * @param settings the kind's `csv_settings`
 * @param columns the model's declared columns, or, where it declares none, the rows of `seedColumnsQuery`
 * @throws MillraceError SEED for a setting that DuckDB cannot follow
 */
export function seedQuery(path: string, settings: CsvSettings | undefined, columns: readonly SeedColumn[]): string {
  const list = columns.map((column) => `  ${castCell(column)} AS ${quoteIdentifier(column.name.toLowerCase())}`)
  return `WITH cells AS (\n${cellsQuery(path, parseSeedSettings(settings))}\n)\nSELECT\n${list.join(',\n')}\nFROM cells`
}

/**
 * A query for a seed's columns, one row `(name, type, lowercase)` each in the file's order, for a model that declares
 * none. Types are BIGINT, DOUBLE, BOOLEAN or VARCHAR, decided over all rows: dates stay text, whole numbers with gaps are
 * DOUBLE.
 * @throws MillraceError SEED for a setting that DuckDB cannot follow
 */
export function seedColumnsQuery(path: string, settings: CsvSettings | undefined): string {
  const cell = 'COLUMNS(*)'
  const all = (pattern: string): string =>
    `coalesce(bool_and(regexp_full_match(${cell}, ${quoteString(pattern)})), FALSE)`
  return `WITH cells AS (
${cellsQuery(path, parseSeedSettings(settings))}
), types AS (
  SELECT CASE
    WHEN count(*) = 0 THEN 'VARCHAR'
    WHEN count(${cell}) = 0 THEN 'DOUBLE'
    WHEN ${all(INTEGER)} THEN CASE
      WHEN count(TRY_CAST(${cell} AS BIGINT)) < count(${cell}) THEN 'VARCHAR'
      WHEN count(${cell}) < count(*) THEN 'DOUBLE'
      ELSE 'BIGINT' END
    WHEN ${all(FLOAT)} THEN 'DOUBLE'
    WHEN ${all(TRUTH)} THEN CASE WHEN count(${cell}) < count(*) THEN 'TRUTH' ELSE 'BOOLEAN' END
    ELSE 'VARCHAR' END
  FROM cells
)
SELECT name, replace(type, 'TRUTH', 'VARCHAR') AS type, type = 'TRUTH' AS lowercase
FROM (UNPIVOT types ON COLUMNS(*) INTO NAME name VALUE type)`
}

/** Every cell as text, missing ones NULL, blank lines left out, line ends within a cell as `\n`. */
function cellsQuery(path: string, settings: SeedSettings): string {
  const trim = (cell: string): string => (settings.skipInitialSpace ? `ltrim(${cell}, ' ')` : cell)
  const cell = trim('COLUMNS(*)')
  const text = `replace(${cell}, chr(13) || chr(10), chr(10))`
  const cleaned =
    settings.missing.length === 0
      ? text
      : `CASE WHEN ${cell} IN (${texts(settings.missing)}) THEN NULL ELSE ${text} END`
  const replaced = [...settings.missingByColumn].map(([column, values]) => {
    const name = quoteIdentifier(column)
    return `CASE WHEN ${trim(name)} IN (${texts(values)}) THEN NULL ELSE ${name} END AS ${name}`
  })
  const source = readCsv(path, settings)
  const from = replaced.length === 0 ? source : `(SELECT * REPLACE (${replaced.join(', ')}) FROM ${source})`
  // In a file of one column a blank line reads like a row; in wider files DuckDB skips it itself.
  return `  SELECT ${cleaned}\n  FROM ${from}\n  WHERE len(list_value(*COLUMNS(*))) > 1 OR trim(concat(*COLUMNS(*))) <> ''`
}

function readCsv(path: string, settings: SeedSettings): string {
  const options: Record<string, string> = {
    delim: quoteString(settings.delimiter),
    quote: quoteString(settings.quote),
    escape: quoteString(settings.escape),
    header: 'true',
    all_varchar: 'true',
    skip: '0',
    comment: "''",
    null_padding: 'true',
    // DuckDB reads quoted line ends beside null_padding on one thread only.
    parallel: 'false',
    hive_partitioning: 'false',
  }
  if (settings.newLine !== null) options['new_line'] = quoteString(settings.newLine)
  if (settings.encoding !== null) options['encoding'] = quoteString(settings.encoding)
  // DuckDB takes an empty cell for NULL unless another text stands for it; this one is in no file.
  if (!settings.missing.includes('')) options['nullstr'] = quoteString('\u{1}')
  const list = Object.entries(options).map(([name, value]) => `${name} = ${value}`)
  return `read_csv(${quoteString(path)}, ${list.join(', ')})`
}

function castCell({ name, type, lowercase }: SeedColumn): string {
  // Qualified, so that a column the file lacks is an error that lists those it has.
  const cell = `cells.${quoteIdentifier(name)}`
  if (lowercase === true) return `lower(${cell})`
  if (/^bool(ean)?$|^logical$/i.test(type)) {
    const folded = `lower(trim(${cell}))`
    return `CASE WHEN ${folded} IN (${texts(TRUE_TEXTS)}) THEN TRUE WHEN ${folded} IN (${texts(FALSE_TEXTS)}) THEN FALSE ELSE CAST(${cell} AS BOOLEAN) END`
  }
  if (/^(date|datetime|timestamp)/i.test(type)) {
    const parsed = `CAST(try_strptime(${cell}, [${texts(DATE_FORMATS)}]) AS ${type})`
    // The last CAST is reached by what nothing could read, and names it in its error.
    return `coalesce(TRY_CAST(${cell} AS ${type}), ${parsed}, CAST(${cell} AS ${type}))`
  }
  return `CAST(${cell} AS ${type})`
}

function texts(values: readonly string[]): string {
  return values.map(quoteString).join(', ')
}
