/** Built-in audits of a column as a whole: means, deviations, distributions. Pure. */
import {
  column,
  expression,
  outsideRange,
  RANGE_PARAMETERS,
  where,
  type AuditArguments,
  type BuiltInAudit,
} from './audit-arguments.ts'
import { withoutComments } from './argument-text.ts'

export const STATISTICAL_AUDITS: Readonly<Record<string, BuiltInAudit>> = {
  mean_in_range: ofAggregate('AVG'),
  stddev_in_range: ofAggregate('STDDEV'),
  z_score: {
    required: { column: 'column', threshold: 'number' },
    optional: { condition: 'sql' },
    // As in SQLMesh, `condition` decides what mean and deviation are taken from; every row is compared with them.
    query: (args, from) => {
      const stats = `SELECT AVG(${column(args)}) AS mean, STDDEV(${column(args)}) AS deviation FROM ${from}${where(args)}`
      const score = `(audited.value - stats.mean) / NULLIF(stats.deviation, 0)`
      return `SELECT value, ${score} AS z_score FROM (SELECT ${column(args)} AS value FROM ${from}) AS audited, (${stats}) AS stats WHERE ABS(${score}) > ${expression(args, 'threshold')}`
    },
  },
  kl_divergence: {
    required: { source_column: 'column', target_column: 'column', threshold: 'number' },
    optional: { condition: 'sql' },
    query: klDivergence,
  },
  chi_square: {
    required: { column_a: 'column', column_b: 'column', critical_value: 'number' },
    optional: { dependent: 'boolean', condition: 'sql' },
    query: chiSquare,
  },
}

/** One bad row, if any; no rows have no mean, and pass. */
function ofAggregate(aggregate: string): BuiltInAudit {
  return {
    required: { column: 'column' },
    optional: RANGE_PARAMETERS,
    oneOf: ['min_v', 'max_v'],
    query: (args, from) => {
      const value = `${aggregate}(${column(args)})`
      return `SELECT ${value} AS value FROM ${from}${where(args)} HAVING ${outsideRange(value, args)}`
    },
  }
}

/** In nats; a value of the source that the target never has makes it infinite. NULLs are left out. */
function klDivergence(args: AuditArguments, from: string): string {
  const shares = (name: string, share: string): string => {
    const value = column(args, name)
    const condition = args['condition'] === undefined ? '' : ` AND (${args['condition']})`
    return `SELECT ${value} AS value, COUNT(*) / SUM(COUNT(*)) OVER () AS ${share} FROM ${from} WHERE ${value} IS NOT NULL${condition} GROUP BY ALL`
  }
  return `SELECT kl_divergence FROM (
  SELECT SUM(CASE WHEN q IS NULL THEN 'inf'::DOUBLE ELSE p * LN(p / q) END) AS kl_divergence
  FROM (${shares('source_column', 'p')}) AS source LEFT JOIN (${shares('target_column', 'q')}) AS target USING (value)
) WHERE kl_divergence > ${expression(args, 'threshold')}`
}

/** Over the combinations that occur. The two must depend on each other, or with `dependent := FALSE` must not. */
function chiSquare(args: AuditArguments, from: string): string {
  const [a, b] = [column(args, 'column_a'), column(args, 'column_b')]
  const condition = args['condition'] === undefined ? '' : ` AND (${args['condition']})`
  const dependent = withoutComments(args['dependent'] ?? 'TRUE').toUpperCase() === 'TRUE'
  const expected = '(total_a * total_b / total)'
  return `SELECT * FROM (
  SELECT (COUNT(DISTINCT a) - 1) * (COUNT(DISTINCT b) - 1) AS degrees_of_freedom, SUM((observed - ${expected}) ** 2 / ${expected}) AS chi_square
  FROM (
    SELECT a, b, COUNT(*) AS observed, SUM(COUNT(*)) OVER (PARTITION BY a) AS total_a, SUM(COUNT(*)) OVER (PARTITION BY b) AS total_b, SUM(COUNT(*)) OVER () AS total
    FROM (SELECT ${a} AS a, ${b} AS b FROM ${from} WHERE ${a} IS NOT NULL AND ${b} IS NOT NULL${condition})
    GROUP BY a, b
  )
) WHERE ${dependent ? 'NOT ' : ''}(chi_square > ${expression(args, 'critical_value')})`
}
