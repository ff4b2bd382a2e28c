/** What macros ask of DuckDB: values of constant expressions. In memory, without data. */
import { quoteString } from '../sql/identifiers.ts'
import type { MacroHost } from '../sql/macros.ts'
import type { SqlParser } from './sql-parser.ts'

type Evaluated = Awaited<ReturnType<MacroHost['evaluate']>>[number]

/** Values by expression, for all projects of the process. */
const cache = new Map<string, Evaluated>()
const CACHE_SIZE = 10_000
/** Expressions of one round trip. */
const BATCH = 200
/** What may have another value the next time. */
const CHANGING = /current|now|today|random|uuid|nextval|getenv|get_|txid|version/i

export function createMacroHost(parser: SqlParser, columnsOf: MacroHost['columnsOf']): MacroHost {
  return {
    async evaluate(expressions) {
      const known = new Map<string, Evaluated>()
      const unknown = [...new Set(expressions)].filter((expression) => {
        const value = cache.get(expression)
        if (value !== undefined) known.set(expression, value)
        return value === undefined
      })
      if (cache.size + unknown.length > CACHE_SIZE) cache.clear()
      for (let first = 0; first < unknown.length; first += BATCH) {
        const batch = unknown.slice(first, first + BATCH)
        for (const [index, value] of (await evaluateBatch(parser, batch)).entries()) {
          const expression = batch[index] ?? ''
          known.set(expression, value)
          if (!CHANGING.test(expression)) cache.set(expression, value)
        }
      }
      return expressions.map((expression) => known.get(expression) ?? { problem: 'it has no value' })
    },
    columnsOf,
  }
}

/** One statement for all; where one of them is wrong, one statement for each. */
async function evaluateBatch(parser: SqlParser, batch: readonly string[]): Promise<Evaluated[]> {
  // A comment at an expression's end must not swallow what follows.
  const columns = batch.flatMap((expression) => [`typeof((${expression}\n))`, `CAST((${expression}\n) AS VARCHAR)`])
  try {
    const [row = []] = await parser.rows(`SELECT ${columns.join(', ')}`)
    return batch.map((_, index) => toEvaluated(String(row[index * 2]), row[index * 2 + 1]))
  } catch (error) {
    if (batch.length === 1) return [{ problem: firstLine(error) }]
    const results: Evaluated[] = []
    for (const expression of batch) results.push(...(await evaluateBatch(parser, [expression])))
    return results
  }
}

const NUMBER = /^(U?(TINYINT|SMALLINT|INTEGER|BIGINT|HUGEINT)|DOUBLE|FLOAT|DECIMAL.*)$/

/** As in SQLMesh, a text is true when it is not empty, a number when it is not zero. */
function toEvaluated(type: string, text: unknown): Evaluated {
  if (typeof text !== 'string') return { sql: 'NULL', truth: false }
  if (type === 'BOOLEAN') return { sql: text.toUpperCase(), truth: text === 'true' }
  if (type === 'VARCHAR') return { sql: quoteString(text), truth: text !== '' }
  if (NUMBER.test(type) && /^-?[\d.]+(e[+-]?\d+)?$/i.test(text)) {
    // Bare, `2-@EVAL(…)` would become a comment.
    return { sql: text.startsWith('-') ? `(${text})` : text, truth: Number(text) !== 0 }
  }
  return { sql: `CAST(${quoteString(text)} AS ${type})`, truth: true }
}

function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n')[0] ?? message
}
