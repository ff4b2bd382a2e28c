/** `AUDIT (…);` and the query after it → AuditDefinition. */
import type { AuditDefinition } from '../model.ts'
import { assertDuckDbDialect } from './dialect.ts'
import { HeaderProblems } from './header-problems.ts'
import { headerProblem, type HeaderSource } from './header-source.ts'
import { parseBlock, type HeaderValue, type Properties } from './properties.ts'
import { isMacroCall, isQuery } from './query.ts'
import { isBlock, type Statement } from './statements.ts'
import { readRelationNames } from './relation-name.ts'
import { readBoolean, readPairs, readRequiredText, readText, readTexts, textOf } from './values.ts'
import { substituteVariables } from './variables.ts'

const NAMES = {
  what: 'property of AUDIT',
  known: [
    'name',
    'dialect',
    'skip',
    'blocking',
    'standalone',
    'defaults',
    'owner',
    'description',
    'tags',
    'depends_on',
    'stamp',
    'cron',
    'cron_tz',
    'interval_unit',
    'start',
    'end',
    'project',
  ],
}

/**
 * @param block a statement `AUDIT (…)`
 * @param query the statement after it
 * @param place the file, relative to the project; the default catalog is left out of names in `depends_on`
 * @throws MillraceError or ProjectError, code AUDIT (DIALECT for a dialect other than DuckDB's)
 */
export function parseAuditBlock(
  source: HeaderSource,
  block: Statement,
  query: Statement | undefined,
  { file, defaultCatalog = null }: AuditPlace,
): AuditDefinition {
  const own: HeaderSource = { ...source, code: 'AUDIT' }
  const problems = new HeaderProblems()
  const properties = parseBlock(own, block, NAMES, problems)
  problems.attempt(null, () => assertDuckDbDialect(properties.get('dialect'), undefined, own.place(block.first)))
  // After a misspelled property a missing name is most likely that.
  const misspelled = problems.count > 0 && !properties.has('name')
  const name = misspelled ? '' : problems.attempt('', () => readName(own, block, properties.get('name')))
  const flag = (key: string, fallback: boolean): boolean =>
    problems.attempt(fallback, () => readFlag(properties, key) ?? fallback)
  const standalone = flag('standalone', false)
  const blocking = flag('blocking', !standalone)
  const blockingAt = properties.get('blocking')
  if (standalone && blocking && blockingAt !== undefined) {
    problems.add(
      headerProblem(own, blockingAt.at, 'expected blocking FALSE; a standalone audit blocks nothing', 'remove it'),
    )
  }
  const defaults = problems.attempt({}, () => readDefaults(properties.get('defaults')))
  const skip = flag('skip', false)
  const node = standalone ? problems.attempt(undefined, () => readNode(properties, defaultCatalog)) : undefined
  problems.attempt(null, () => assertQuery(own, block, query))
  problems.throwIfAny()
  const sql = query?.sql ?? block.sql
  const line = block.first.line
  return { name, query: sql, blocking, skip, standalone, defaults, file, line, ...(node === undefined ? {} : { node }) }
}

export interface AuditPlace {
  file: string
  defaultCatalog?: string | null
}

function readNode(properties: Properties, defaultCatalog: string | null): NonNullable<AuditDefinition['node']> {
  const read = <T>(key: string, fallback: T, reader: (value: HeaderValue) => T): T => {
    const value = properties.get(key)
    return value === undefined ? fallback : reader(substituteVariables(value, 'string'))
  }
  const dependsOn = properties.get('depends_on')
  return {
    owner: read('owner', null, readText),
    tags: read('tags', [], readTexts),
    description: read('description', null, readText),
    depends_on: dependsOn === undefined ? [] : readRelationNames(dependsOn, defaultCatalog),
  }
}

function readName(source: HeaderSource, block: Statement, value: HeaderValue | undefined): string {
  if (value === undefined) {
    throw headerProblem(
      source,
      block.first,
      "expected 'name' in AUDIT (…); it is missing",
      'write AUDIT (name my_audit)',
    )
  }
  const { tokens } = value
  const dotted =
    tokens.length > 1 &&
    tokens.every((token, index) =>
      index % 2 === 1 ? token.text === '.' : token.type === 'word' || token.type === 'quoted',
    )
  if (dotted) return tokens.map((token) => token.value.toLowerCase()).join('')
  return readRequiredText(value).toLowerCase()
}

function readFlag(properties: Properties, key: string): boolean | null {
  const value = properties.get(key)
  return value === undefined ? null : readBoolean(substituteVariables(value, 'string'))
}

function readDefaults(value: HeaderValue | undefined): Record<string, string> {
  if (value === undefined) return {}
  return Object.fromEntries(
    readPairs(value).map(([key, { source, tokens }]) => [key.toLowerCase(), textOf(source, tokens)]),
  )
}

function assertQuery(source: HeaderSource, block: Statement, query: Statement | undefined): void {
  const hint = 'write a SELECT that returns the bad rows after AUDIT (…);'
  if (query === undefined || isBlock(query, 'AUDIT')) {
    throw headerProblem(source, query?.first ?? block.first, 'expected a query after AUDIT (…); got none', hint)
  }
  if (!isQuery(query.tokens) && !isMacroCall(query.tokens)) {
    throw headerProblem(source, query.first, `expected a query after AUDIT (…); got '${query.first.text}' …`, hint)
  }
}
