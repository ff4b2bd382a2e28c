/**
 * Jinja in config.yaml: `env_var('X'[, default])` and `user()`.
 * `{{ env_var('X') }}` on its own becomes a placeholder, not the value, so that the reader of the YAML can keep a
 * credential as a reference, and a secret never stands in the text that errors are made from.
 */
import { userInfo } from 'node:os'
import nunjucks from 'nunjucks'
import { MillraceError, ProjectError } from '../errors.ts'

/** What stands for one `{{ env_var(…) }}` in the rendered text. */
export interface Placeholder {
  marker: string
  /** The environment variable. */
  name: string
  /** Its value, else the default; null: neither is there. */
  value: string | null
  /** The value is the variable's, not the default. */
  isSet: boolean
  line: number
}

export interface RenderedConfig {
  text: string
  placeholders: Placeholder[]
  /** Line of the rendered text → line of the source. */
  lineOf: (line: number) => number
}

export type Environment = Readonly<Record<string, string | undefined>>

const RAW = String.raw`\{%-?\s*raw\s*-?%\}[\s\S]*?\{%-?\s*endraw\s*-?%\}`
const TAG = new RegExp(String.raw`${RAW}|\{#[\s\S]*?#\}|\{\{[\s\S]*?\}\}|\{%[\s\S]*?%\}`, 'g')
const VALUE = String.raw`(?:'(?<single>[^'\\]*)'|"(?<double>[^"\\]*)"|(?<bare>-?\d+(?:\.\d+)?|[Tt]rue|[Ff]alse))`
const PURE = new RegExp(
  String.raw`^\{\{\s*env_var\(\s*(?:'(?<name>[^'\\]+)'|"(?<quoted>[^"\\]+)")\s*(?:,\s*(?:default\s*=\s*)?${VALUE}\s*)?\)\s*\}\}$`,
)
/** An expression that can do without the variable. */
const LENIENT = /^\{%|\b(?:or|and|if|is|not|default|d)\b|[!=]=/

/** @throws MillraceError or ProjectError CONFIG: Jinja that cannot be rendered, a variable that is missing, with the line */
export function renderConfig(source: string, file: string, env: Environment): RenderedConfig {
  const placeholders: Placeholder[] = []
  let prefix = 'millrace_env_'
  while (source.includes(prefix)) prefix += '_'
  const template = source.replaceAll(TAG, (tag, ...rest: unknown[]) => {
    const line = lineAt(source, Number(rest.find((part) => typeof part === 'number')))
    // Comments keep their line ends, so that lines stay the source's.
    if (tag.startsWith('{#')) return tag.replaceAll(/[^\n]/g, '')
    if (/^\{%-?\s*raw/.test(tag)) return tag
    const pure = PURE.exec(tag)
    if (pure === null) return tag.replaceAll(/\benv_var\s*\(/g, `env_var(${line}, ${String(LENIENT.test(tag))}, `)
    const { name, quoted, single, double, bare } = pure.groups ?? {}
    const variable = name ?? quoted ?? ''
    const value = env[variable]
    const marker = `${prefix}${placeholders.length}_`
    const fallback = single ?? double ?? bare ?? null
    placeholders.push({ marker, name: variable, value: value ?? fallback, isSet: value !== undefined, line })
    return marker
  })
  const text = template.includes('{{') || template.includes('{%') ? renderTemplate(template, file, env) : template
  return { text, placeholders, lineOf: lineMap(source, text) }
}

/** The error for a variable that is neither set nor has a default. */
export function missingVariable(name: string, file: string, line: number): MillraceError {
  return new MillraceError(
    'CONFIG',
    `expected the environment variable '${name}' to be set; it is not, and has no default`,
    {
      file,
      line,
      hint: `set it, put it into .env, or give a default: env_var('${name}', '…')`,
    },
  )
}

function renderTemplate(template: string, file: string, env: Environment): string {
  const missing: MillraceError[] = []
  const environment = new nunjucks.Environment(null, { autoescape: false, throwOnUndefined: true })
  const context = {
    user: () => userInfo().username,
    env_var: (line: number, lenient: boolean, name: string, fallback?: unknown) => {
      const value = env[name] ?? keyword(fallback)
      if (value !== undefined) return value
      if (lenient) return null
      missing.push(missingVariable(name, file, line))
      return ''
    },
  }
  let text: string
  try {
    text = environment.renderString(template, context)
  } catch (error) {
    throw templateError(error, template, file)
  }
  if (missing.length > 0) throw new ProjectError(missing)
  return text
}

/** Nunjucks hands keyword arguments over as one object. */
function keyword(argument: unknown): unknown {
  return typeof argument === 'object' && argument !== null && 'default' in argument ? argument.default : argument
}

function templateError(error: unknown, template: string, file: string): MillraceError {
  const message = error instanceof Error ? error.message : String(error)
  // Nunjucks 3.2 counts the lines of calls from 0, all others from 1.
  const isCall = message.includes('Unable to call')
  const [, line, column] = /\[Line (\d+), Column (\d+)\]/.exec(message) ?? []
  const text = message
    .replace(/^\(unknown path\)(?: \[[^\]]*\])?\s*/, '')
    .replace(/^(?:Template render error|Error): /, '')
  return new MillraceError('CONFIG', `expected Jinja that can be rendered, got: ${text.trim()}`, {
    file,
    line: line === undefined ? lineOfFilter(message, template) : Number(line) + (isCall ? 1 : 0),
    ...(column === undefined ? {} : { column: Number(column) }),
    hint: "env_var('NAME', 'default') and user() are known here",
  })
}

/** Nunjucks tells the name, but no line, of a filter that is not there. */
function lineOfFilter(message: string, template: string): number {
  const name = /filter not found: (\w+)/.exec(message)?.[1]
  const at = name === undefined ? -1 : template.search(new RegExp(`\\|\\s*${name}\\b`))
  return lineAt(template, Math.max(0, at))
}

/** Jinja may add and remove lines; then a line is the one of the source that reads the same, or the nearest before it. */
function lineMap(source: string, text: string): (line: number) => number {
  const [from, to] = [source.split('\n'), text.split('\n')]
  if (from.length === to.length) return (line) => line
  let next = 0
  const lines = to.map((written) => {
    const found =
      written.trim() === '' ? -1 : from.findIndex((line, at) => at >= next && line.trim() === written.trim())
    if (found !== -1) next = found + 1
    return Math.max(1, next)
  })
  return (line) => lines[line - 1] ?? Math.max(1, next)
}

function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length
}
