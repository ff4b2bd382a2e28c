/** The places a configuration comes from (files, `SQLMESH__…` variables), and their sum that still knows where each value is from. */
import { isPair, isScalar, parse, Scalar, visit, type Document, type Node } from 'yaml'
import { MillraceError, ProjectError, type SourceLocation } from '../errors.ts'
import {
  missingVariable,
  renderConfig,
  type Environment,
  type Placeholder,
  type RenderedConfig,
} from './render-config.ts'
import { parseYaml, type DataPath } from './yaml-file.ts'

export type ConfigData = Record<string, unknown>

/** One place, or several merged. */
export interface ConfigSource {
  data: ConfigData
  /** Where the value at a path is from; for a path that is not there, where its nearest parent is. */
  locate: (path: DataPath) => { location: SourceLocation; depth: number }
}

export interface FileOptions {
  /** Name of the file in messages. */
  file: string
  env: Environment
  /** Keys below which nothing has a meaning here: what is missing there is no error. */
  isIgnored?: (keys: readonly string[]) => boolean
}

/**
 * Jinja and YAML → plain data. `env_var('X')` as a credential's whole value becomes `{ env: 'X' }`.
 * @throws MillraceError or ProjectError CONFIG
 */
export function readConfigSource(text: string, options: FileOptions): ConfigSource {
  const { file, env } = options
  const rendered = renderConfig(text, file, env)
  const yaml = parseYaml(rendered.text, file, {
    code: 'CONFIG',
    lineOf: rendered.lineOf,
    edit: (document) => fillPlaceholders(document, rendered, options),
  })
  const data = yaml.value ?? {}
  if (!isData(data)) {
    throw new MillraceError('CONFIG', `expected '${file}' to hold keys and values, got ${describe(data)}`, {
      file,
      line: 1,
    })
  }
  return {
    data,
    locate: (path) => {
      const { line, depth } = yaml.locate(path)
      return { location: { file, line }, depth }
    },
  }
}

/**
 * `SQLMESH__A__B=value` → `{ a: { b: value } }`; null when there is none. A list or a mapping is written as JSON.
 * A credential becomes a reference to its variable.
 */
export function readEnvironmentSource(env: Environment): ConfigSource | null {
  const data: ConfigData = {}
  const names = new Map<string, string>()
  for (const [name, text] of Object.entries(env).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const path = name.toLowerCase().split('__').slice(1)
    if (!/^sqlmesh__/i.test(name) || text === undefined || NOT_CONFIG.has(name.toUpperCase())) continue
    if (path.includes('')) {
      throw new MillraceError('CONFIG', `expected a variable like SQLMESH__DEFAULT_GATEWAY, got '${name}'`, {
        file: `environment variable ${name}`,
      })
    }
    names.set(path.join('.'), name)
    setAt(data, path, isCredential(path) ? { env: name } : typed(text, path))
  }
  if (names.size === 0) return null
  return {
    data,
    locate: (path) => {
      for (let depth = path.length; depth > 0; depth--) {
        const prefix = path.slice(0, depth).join('.')
        const name = names.get(prefix) ?? [...names].find(([key]) => key.startsWith(`${prefix}.`))?.[1]
        if (name !== undefined) return { location: { file: `environment variable ${name}` }, depth }
      }
      return { location: { file: 'environment variables' }, depth: 0 }
    },
  }
}

/** Mappings are merged key by key; of anything else the later source's wins. */
export function mergeSources(sources: readonly ConfigSource[]): ConfigSource {
  return {
    data: sources.reduce<ConfigData>((sum, { data }) => mergeData(sum, data), {}),
    locate: (path) =>
      sources
        .map((source) => source.locate(path))
        .reduce((best, found) => (found.depth > 0 && found.depth >= best.depth ? found : best)),
  }
}

export function isData(value: unknown): value is ConfigData {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What a value is, in words: `a list`, `3 (a number)`. */
export function describe(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  if (isData(value)) return 'a mapping'
  if (typeof value === 'string') return `'${value}' (text)`
  return typeof value === 'boolean' ? `${value} (true or false)` : `${Number(value)} (a number)`
}

/** Variables with this prefix that are no configuration. */
const NOT_CONFIG: ReadonlySet<string> = new Set(['SQLMESH__AIRFLOW__DISABLE_STATE_MIGRATION'])
const CREDENTIAL = /(?:^|_)(?:token|password|passwd|secret|key|key_id)$/i
const CONNECTIONS: ReadonlySet<string> = new Set(['connection', 'default_connection'])

/** Whether keys lead to a secret within a connection. */
function isCredential(keys: readonly string[]): boolean {
  return CREDENTIAL.test(keys.at(-1) ?? '') && keys.some((key) => CONNECTIONS.has(key.toLowerCase()))
}

function fillPlaceholders(document: Document.Parsed, rendered: RenderedConfig, options: FileOptions): void {
  const { placeholders } = rendered
  if (placeholders.length === 0) return
  const missing: MillraceError[] = []
  visit(document, {
    Scalar(position, node, ancestors) {
      if (typeof node.value !== 'string') return undefined
      const text = node.value
      const used = placeholders.filter(({ marker }) => text.includes(marker))
      if (used.length === 0) return undefined
      const keys = ancestors.filter(isPair).map(({ key }) => String(isScalar(key) ? key.value : key))
      const [first] = used
      if (position !== 'key' && first !== undefined && first.marker === text && isCredential(keys)) {
        // A plain default stays what it is; a variable that is not set is found out when the credential is asked for.
        if (first.isSet || first.value === null) return placed(document.createNode({ env: first.name }), node)
      }
      if (options.isIgnored?.(keys) !== true) {
        for (const { name, value, line } of used)
          if (value === null) missing.push(missingVariable(name, options.file, line))
      }
      node.value = filled(text, used, node.type === Scalar.PLAIN && position !== 'key')
      return undefined
    },
  })
  if (missing.length > 0) throw new ProjectError(missing)
}

/** @returns `replacement`, at the place of what it replaces */
function placed(replacement: Node, { range }: Scalar): Node {
  if (range) replacement.range = range
  return replacement
}

/** Text outside quotes has the type that YAML gives it, as if the value stood there. */
function filled(text: string, used: readonly Placeholder[], isPlain: boolean): unknown {
  const whole = used.reduce((sum, { marker, value }) => sum.replaceAll(marker, () => value ?? ''), text)
  if (!isPlain) return whole
  try {
    const value: unknown = parse(whole)
    return value === null || isData(value) || (Array.isArray(value) && !whole.startsWith('[')) ? whole : value
  } catch {
    return whole
  }
}

/** Variables of the project stay text; elsewhere `true`, `8` and JSON mean what they say. */
function typed(text: string, path: readonly string[]): unknown {
  if (/^\s*[[{]/.test(text)) {
    try {
      return JSON.parse(text) as unknown
    } catch {
      return text
    }
  }
  if (path.includes('variables') || path.length === 1) return text
  if (/^(?:true|false)$/i.test(text)) return text.toLowerCase() === 'true'
  return /^-?\d{1,15}(?:\.\d+)?$/.test(text) ? Number(text) : text
}

function setAt(data: ConfigData, path: readonly string[], value: unknown): void {
  let target = data
  for (const key of path.slice(0, -1)) {
    const inner = target[key]
    const next: ConfigData = isData(inner) ? inner : {}
    target[key] = next
    target = next
  }
  const last = path.at(-1)
  if (last !== undefined) target[last] = value
}

function mergeData(a: ConfigData, b: ConfigData): ConfigData {
  const entries = Object.entries(b).map(([key, value]) => {
    const before = a[key]
    return [key, isData(before) && isData(value) ? mergeData(before, value) : value] as const
  })
  return Object.fromEntries([...Object.entries(a), ...entries])
}
