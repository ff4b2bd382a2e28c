/** What properties of one header demand of each other. */
import { nearest } from '../../errors.ts'
import { quoteIdentifier } from '../../sql/identifiers.ts'
import { tokenize } from '../../sql/lexer.ts'
import type { ModelKind } from '../model.ts'
import type { HeaderProblems } from './header-problems.ts'
import { headerProblem, type HeaderSource, type Position } from './header-source.ts'
import type { Properties } from './properties.ts'

interface Checked {
  kind: ModelKind
  columns: Record<string, string> | null
  partitioned_by: readonly string[]
}

/** Problems go to `place.problems`, at the property that is wrong. */
export function assertConsistent(
  { kind, columns, partitioned_by }: Checked,
  properties: Properties,
  place: { source: HeaderSource; at: Position; problems: HeaderProblems },
): void {
  const { source, at, problems } = place
  function report(key: string, message: string, hint: string): void {
    problems.add(headerProblem(source, properties.get(key)?.at ?? at, message, hint))
  }
  function reportBoth(one: string, other: string): void {
    if (!properties.has(one) || !properties.has(other)) return
    report(one, `expected '${one}' or '${other}'; both are written`, `write '${other}' only`)
  }
  reportBoth('grain', 'grains')
  reportBoth('table_properties', 'physical_properties')

  const hasTable = kind.name !== 'EMBEDDED' && (kind.name !== 'VIEW' || kind.materialized === true)
  for (const key of ['partitioned_by', 'clustered_by']) {
    if (hasTable || !properties.has(key)) continue
    report(
      key,
      `expected no '${key}' in a model of kind ${kind.name}, which has no table`,
      'remove it, or set the kind, e.g. kind FULL',
    )
  }
  if (kind.name === 'INCREMENTAL_BY_PARTITION' && partitioned_by.length === 0) {
    report('kind', `expected 'partitioned_by' beside kind ${kind.name}; it is missing`, 'write partitioned_by (column)')
  }
  if (kind.insert_overwrite === true && partitioned_by.length === 0) {
    report(
      'kind',
      "expected 'partitioned_by' beside insert_overwrite true; it is missing",
      'write partitioned_by (column), or remove insert_overwrite',
    )
  }
  if (kind.name === 'EMBEDDED' && properties.has('audits')) {
    report(
      'audits',
      'expected no audits in a model of kind EMBEDDED, which has no table',
      'remove them, or use kind VIEW',
    )
  }
  if (properties.has('physical_version') && kind.forward_only !== true) {
    report(
      'physical_version',
      "expected 'physical_version' in a forward-only model",
      'set forward_only TRUE in the kind, or remove it',
    )
  }
  const time = kind.time_column?.column
  if (time !== undefined && columns !== null && !Object.hasOwn(columns, time)) {
    const near = nearest(time, Object.keys(columns))
    const hint = near === null ? `add ${time} to columns` : `Did you mean '${near}'?`
    report(
      'columns',
      `expected the time column '${time}' among 'columns'; got ${Object.keys(columns).join(', ')}`,
      hint,
    )
  }
}

/** The expressions a table is partitioned by: the time column comes first unless one of them uses it or the kind says no. */
export function withTimeColumn(kind: ModelKind, partitionedBy: readonly string[]): string[] {
  const column = kind.time_column?.column
  if (column === undefined || kind.partition_by_time_column === false) return [...partitionedBy]
  const used = partitionedBy.some((expression) =>
    tokenize(expression).some(
      ({ type, value }) => (type === 'word' || type === 'quoted') && value.toLowerCase() === column,
    ),
  )
  return used ? [...partitionedBy] : [/^[a-z_]\w*$/.test(column) ? column : quoteIdentifier(column), ...partitionedBy]
}
