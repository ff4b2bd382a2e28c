/** The YAML of unit tests: dates without quotes stay dates, large numbers exact, Python's own values are refused. */
import { isScalar, visit, type Document } from 'yaml'
import { MillraceError, ProjectError } from '../../errors.ts'
import { renderConfig, type Environment } from '../render-config.ts'
import { parseYaml, type YamlFile } from '../yaml-file.ts'
import { PlainTime } from './unit-test.ts'

const DATE = /^\d{4}-\d{2}-\d{2}$/
const TIMESTAMP = /^\d{4}-\d{1,2}-\d{1,2}[Tt ]+\d{1,2}:\d{2}:\d{2}(\.\d+)?(\s*(Z|[+-]\d{1,2}(:?\d{2})?))?$/

/**
 * @param env for `{{ env_var('X') }}`
 * @throws MillraceError or ProjectError TEST, with the line
 */
export function parseTestYaml(source: string, file: string, env: Environment): YamlFile {
  const jinja = source.includes('{{') || source.includes('{%') ? renderConfig(source, file, env) : null
  const text = (jinja?.placeholders ?? []).reduce(
    (rendered, { marker, value }) => rendered.replaceAll(marker, value ?? ''),
    jinja?.text ?? source,
  )
  return parseYaml(text, file, {
    code: 'TEST',
    ...(jinja === null ? {} : { lineOf: jinja.lineOf }),
    edit: (document) => {
      assertNoTags(document, text, file)
      visit(document, {
        Scalar: (_, scalar) => {
          if (isScalar(scalar) && scalar.type === 'PLAIN') scalar.value = plainValue(scalar.value, scalar.source)
        },
      })
    },
  })
}

function plainValue(value: unknown, source: string | undefined): unknown {
  if (typeof value === 'number' && Number.isInteger(value) && !Number.isSafeInteger(value) && source !== undefined)
    return /^-?\d+$/.test(source) ? BigInt(source) : value
  if (typeof value !== 'string') return value
  if (DATE.test(value)) return new PlainTime(value, 'DATE')
  const match = TIMESTAMP.exec(value)
  return match === null ? value : new PlainTime(value, match[2] === undefined ? 'TIMESTAMP' : 'TIMESTAMPTZ')
}

/** Values that only Python can make (`!!python/object …`) mean nothing here. */
function assertNoTags(document: Document.Parsed, text: string, file: string): void {
  const problems = document.warnings
    .filter(({ code }) => code === 'TAG_RESOLVE_FAILED')
    .map(({ pos }) => {
      const tag = /^\S+/.exec(text.slice(pos[0]))?.[0] ?? 'a tag'
      return new MillraceError('TEST', `expected a plain YAML value, got the tag ${tag}`, {
        file,
        line: text.slice(0, pos[0]).split('\n').length,
        hint: 'write the value as a number, a text, a date, a list or a mapping; a `query` gives any value that SQL can make',
      })
    })
  if (problems.length > 0) throw new ProjectError(problems)
}
