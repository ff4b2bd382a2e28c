/** The properties of a MODEL block, defaults merged in → the fields of a Model that its body does not decide. */
import { MillraceError } from '../../errors.ts'
import { displayName } from '../../sql/identifiers.ts'
import type { Model, ModelKind, RelationName } from '../model.ts'
import { readAuditCalls } from './calls.ts'
import { readColumnDescriptions, readColumns, readSqlProperties } from './columns.ts'
import { assertConsistent, withTimeColumn } from './consistency.ts'
import type { HeaderProblems } from './header-problems.ts'
import { createTextSource, headerProblem, tokenizeSource, type HeaderSource, type Position } from './header-source.ts'
import { readKind, type KindDefaults } from './kinds.ts'
import type { ModelDefaults } from './model-defaults.ts'
import { RUNTIME_PROPERTIES } from './model-properties.ts'
import type { HeaderValue, Properties } from './properties.ts'
import { readRelationName, readRelationNames } from './relation-name.ts'
import { readSchedule } from './schedule.ts'
import { readBoolean, readChoice, readElements, readExpressions, readText, readTexts, textOf } from './values.ts'
import { substituteVariables } from './variables.ts'

export interface HeaderContext {
  /** Relative to the project, `/` as separator. */
  file: string
  /** `model_defaults` of the config file. */
  defaults: ModelDefaults
  /** Left out of names that begin with it. */
  defaultCatalog: string | null
  /** A model without a name is called after its path below `models/`: its last three parts. */
  inferNames: boolean
  /** Of time columns that name no format, e.g. `%Y-%m-%d`. */
  timeColumnFormat: string
}

export type ModelHeader = Omit<
  Model,
  'query' | 'pre' | 'post' | 'on_virtual_update' | 'inline_audits' | 'file' | 'line' | 'dialect'
>

/** Where the block is, and where its problems go. */
export interface HeaderPlace {
  source: HeaderSource
  /** The MODEL keyword. */
  at: Position
  problems: HeaderProblems
}

/** @param written the properties as written; their variables are replaced here. */
export function readModelHeader(written: Properties, context: HeaderContext, place: HeaderPlace): ModelHeader {
  const { defaults, defaultCatalog } = context
  const { source, at, problems } = place
  const properties = substituteAll(written, problems)
  /** The property by `reader`; `fallback` when it is absent or wrong. */
  function read<T>(key: string, fallback: T, reader: (value: HeaderValue) => T): T {
    const value = properties.get(key)
    return value === undefined ? fallback : problems.attempt(fallback, () => reader(value))
  }
  function readProperties(
    keys: readonly string[],
    inherited: Record<string, string> | undefined,
  ): Record<string, string> {
    const own = keys.map((key) => read<Record<string, string | null>>(key, {}, readSqlProperties))
    const merged = Object.entries(Object.assign({}, inherited, ...own) as Record<string, string | null>)
    return Object.fromEntries(merged.flatMap(([key, value]) => (value === null ? [] : [[key, value] as const])))
  }

  // After a misspelled property a missing name is most likely that.
  const misspelled = problems.count > 0 && !properties.has('name')
  const nameless: RelationName = { catalog: null, schema: null, name: '' }
  const relation = misspelled
    ? nameless
    : problems.attempt(nameless, () => nameOf(properties.get('name'), context, place))
  const name = displayName(relation)
  const kind = problems.attempt<ModelKind>({ name: 'FULL' }, () => kindOf(properties.get('kind'), context, place))
  const header: ModelHeader = {
    name,
    relation,
    kind,
    ...readSchedule(properties, defaults, { source, at }, problems),
    owner: read('owner', defaults.owner ?? null, readText),
    stamp: read('stamp', null, readText),
    tags: read('tags', [], readTexts),
    description: read('description', null, readText),
    columns: read('columns', null, readColumns),
    column_descriptions: read('column_descriptions', {}, readColumnDescriptions),
    grains: read('grains', read('grain', [], readGrain), readExpressions),
    references: read('references', [], readExpressions),
    audits: [...defaultAudits(kind, defaults, place), ...read('audits', [], readAuditCalls)],
    signals: read('signals', [], (value) => readElements(value).map((call) => textOf(call.source, call.tokens))),
    partitioned_by: withTimeColumn(kind, read('partitioned_by', [], readExpressions)),
    clustered_by: read('clustered_by', [], readExpressions),
    depends_on: read<string[]>('depends_on', [], (value) => readRelationNames(value, defaultCatalog)).filter(
      (dependency) => dependency !== name,
    ),
    audit_depends_on: [],
    self_referencing: false,
    enabled: read('enabled', defaults.enabled ?? true, readBoolean),
    formatting: read('formatting', defaults.formatting ?? true, readBoolean),
    optimize_query: read('optimize_query', defaults.optimize_query ?? true, readBoolean),
    ignored_rules: read('ignored_rules', [], (value) => readTexts(value).map((rule) => rule.toLowerCase())),
    gateway: read('gateway', defaults.gateway ?? null, readText)?.toLowerCase() ?? null,
    storage_format: read('storage_format', defaults.storage_format ?? null, readText),
    table_format: read('table_format', defaults.table_format ?? null, readText),
    physical_properties: readProperties(['table_properties', 'physical_properties'], defaults.physical_properties),
    virtual_properties: readProperties(['virtual_properties'], defaults.virtual_properties),
    session_properties: readProperties(['session_properties'], defaults.session_properties),
    physical_version: read('physical_version', null, readText),
    virtual_environment_mode: read('virtual_environment_mode', null, (value) =>
      readChoice(value, ['full', 'dev_only']),
    ),
  }
  assertConsistent(header, properties, place)
  return header
}

function substituteAll(written: Properties, problems: HeaderProblems): Properties {
  const properties = new Map<string, HeaderValue>()
  for (const [key, value] of written) {
    // Names replace their own variables, as identifiers; a kind does so option by option.
    const later = RUNTIME_PROPERTIES.has(key) || key === 'kind' || key === 'name' || key === 'depends_on'
    const replaced = later ? value : problems.attempt(null, () => substituteVariables(value, 'string'))
    if (replaced !== null) properties.set(key, replaced)
  }
  return properties
}

function nameOf(value: HeaderValue | undefined, context: HeaderContext, { source, at }: HeaderPlace): RelationName {
  if (value !== undefined) return readRelationName(value, context.defaultCatalog)
  if (!context.inferNames) {
    throw headerProblem(
      source,
      at,
      "expected 'name' in MODEL (…); it is missing",
      'write MODEL (name schema.model, …), or set model_naming.infer_names in the config file',
    )
  }
  const [folder, ...path] = context.file
    .toLowerCase()
    .replace(/\.sql$/, '')
    .split('/')
  const [name, schema = null, catalog = null] = path.slice(-3).reverse()
  if (folder !== 'models' || name === undefined || name === '') {
    throw headerProblem(
      source,
      at,
      `expected a file below models/ to infer a name from; got ${context.file}`,
      "write 'name' into the header",
    )
  }
  return { catalog: catalog === context.defaultCatalog?.toLowerCase() ? null : catalog, schema, name }
}

function kindOf(value: HeaderValue | undefined, context: HeaderContext, place: HeaderPlace): ModelKind {
  const { defaults } = context
  const { source, at, problems } = place
  const options = {
    ...(defaults.on_destructive_change === undefined ? {} : { on_destructive_change: defaults.on_destructive_change }),
    ...(defaults.on_additive_change === undefined ? {} : { on_additive_change: defaults.on_additive_change }),
    ...(defaults.batch_concurrency === undefined ? {} : { batch_concurrency: defaults.batch_concurrency }),
  }
  const kindDefaults: KindDefaults = { timeColumnFormat: context.timeColumnFormat, options }
  const written = value ?? toValue('kind', defaults.kind ?? 'VIEW', source, at)
  return readKind(written, kindDefaults, problems)
}

/** Audits of the project's defaults come first. An embedded model has no table to audit. */
function defaultAudits(
  kind: ModelKind,
  defaults: ModelDefaults,
  { source, at, problems }: HeaderPlace,
): Model['audits'] {
  if (kind.name === 'EMBEDDED') return []
  return (defaults.audits ?? []).flatMap((text) =>
    problems.attempt([], () => readAuditCalls(toValue('audits', text, source, at))),
  )
}

/** A default as if it were written in the header. */
function toValue(key: string, text: string, source: HeaderSource, position: Position): HeaderValue {
  const own = createTextSource(source.place(position), text, source)
  const tokens = tokenizeSource(own).filter(({ type }) => type !== 'comment')
  const [at] = tokens
  if (at !== undefined) return { source: own, key, at, tokens }
  throw new MillraceError('CONFIG', `expected a value for '${key}' in model_defaults; got none`, {
    hint: 'remove the key, or give it a value',
  })
}

/** `grain (a, b)` is one grain of two columns; `grain a` and `grain (a)` one of one. */
function readGrain(value: HeaderValue): string[] {
  const elements = readExpressions(value)
  return elements.length > 1 ? [`(${elements.join(', ')})`] : elements
}
