/** What follows the MODEL block: pre statements, the query, post statements, audits. */
import { isToken } from '../../sql/lexer.ts'
import type { AuditDefinition, SqlText } from '../model.ts'
import { parseAuditBlock } from './audit-block.ts'
import type { HeaderProblems } from './header-problems.ts'
import { headerProblem, type HeaderSource } from './header-source.ts'
import { isMacroCall, isQuery } from './query.ts'
import { isBlock, isWord, type Statement } from './statements.ts'

export interface ModelBody {
  /** Null when there is none. */
  query: Statement | null
  pre: SqlText[]
  post: SqlText[]
  on_virtual_update: SqlText[]
  inline_audits: AuditDefinition[]
}

const REQUIRED =
  'a SELECT (or WITH, FROM, PIVOT, UNPIVOT, TABLE, SUMMARIZE, DESCRIBE, a set operation), a JINJA_QUERY block, or a single macro call such as @UNION(…)'

/**
 * Sorts the statements of a model. A model has one query; with `seed` it has none, and `@INSERT_SEED()` stands for it.
 * Problems go to `problems`.
 */
export function parseBody(
  source: HeaderSource,
  statements: readonly Statement[],
  header: { file: string; line: number; seed: boolean },
  problems: HeaderProblems,
): ModelBody {
  const body: ModelBody = { query: null, pre: [], post: [], on_virtual_update: [], inline_audits: [] }
  const plain: Statement[] = []
  for (let index = 0; index < statements.length; index++) {
    const statement = statements[index]
    if (statement === undefined) break
    if (isBlock(statement, 'AUDIT')) {
      index += 1
      const audit = problems.attempt(null, () => parseAuditBlock(source, statement, statements[index], header))
      if (audit !== null) body.inline_audits.push(audit)
    } else if (isWord(statement, 'ON_VIRTUAL_UPDATE_BEGIN')) {
      const end = statements.findIndex((other, at) => at > index && isWord(other, 'ON_VIRTUAL_UPDATE_END'))
      if (end === -1) {
        problems.add(
          headerProblem(
            source,
            statement.first,
            'expected ON_VIRTUAL_UPDATE_END; the file ends before it',
            'write ON_VIRTUAL_UPDATE_END; after the last statement',
          ),
        )
      }
      const last = end === -1 ? statements.length : end
      body.on_virtual_update.push(...statements.slice(index + 1, last).map(({ sql }) => sql))
      index = last
    } else if (isWord(statement, 'ON_VIRTUAL_UPDATE_END')) {
      problems.add(
        headerProblem(source, statement.first, 'expected ON_VIRTUAL_UPDATE_BEGIN; before ON_VIRTUAL_UPDATE_END'),
      )
    } else if (isBlock(statement, 'MODEL')) {
      problems.add(
        headerProblem(
          source,
          statement.first,
          'expected one MODEL (…), first in its file; here is another',
          'put each model into its own file',
        ),
      )
    } else if (isBlock(statement, 'METRIC')) {
      problems.add(headerProblem(source, statement.first, 'expected SQL; METRIC (…) has no meaning here', 'remove it'))
    } else plain.push(statement)
  }
  const queryAt = header.seed ? seedPosition(source, plain, problems) : queryPosition(source, plain, header, problems)
  const before = queryAt === -1 ? plain : plain.slice(0, queryAt)
  body.pre.push(...before.map(({ sql }) => sql))
  if (queryAt !== -1) body.post.push(...plain.slice(queryAt + 1).map(({ sql }) => sql))
  if (!header.seed) body.query = plain[queryAt] ?? null
  return body
}

function queryPosition(
  source: HeaderSource,
  plain: readonly Statement[],
  header: { line: number },
  problems: HeaderProblems,
): number {
  const [only] = plain
  const found = plain.flatMap(({ tokens }, index) => (isQuery(tokens) ? [index] : []))
  if (found.length === 0 && plain.length === 1 && only !== undefined && isMacroCall(only.tokens)) return 0
  const [first, second] = found
  if (first === undefined) {
    const got = only === undefined ? 'got no statement' : `got '${only.first.text}' …`
    const at = only?.first ?? { line: header.line, column: 1 }
    problems.add(headerProblem(source, at, `expected a query after MODEL (…); ${got}`, `write ${REQUIRED}`))
    return -1
  }
  const extra = second === undefined ? undefined : plain[second]
  if (extra !== undefined) {
    const message = `expected one query in a model; here is a second one, the first is in line ${plain[first]?.first.line ?? header.line}`
    problems.add(headerProblem(source, extra.first, message, 'combine them, e.g. by UNION ALL, or make another model'))
  }
  return first
}

/** The position of `@INSERT_SEED()`; -1 when every statement comes before the seed is loaded. */
function seedPosition(source: HeaderSource, plain: readonly Statement[], problems: HeaderProblems): number {
  for (const { first, tokens } of plain) {
    if (isQuery(tokens)) {
      problems.add(
        headerProblem(
          source,
          first,
          'expected no query in a SEED; its rows come from its file',
          'remove the query, or use another kind',
        ),
      )
    }
  }
  return plain.findIndex(
    ({ tokens }) => tokens[0]?.value.toUpperCase() === 'INSERT_SEED' && isMacroCall(tokens) && isToken(tokens[2], ')'),
  )
}
