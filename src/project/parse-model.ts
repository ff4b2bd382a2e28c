/** One .sql file of `models/` → Model. */
import { MillraceError, nearest } from '../errors.ts'
import { parseBody } from './header/body.ts'
import { columnComments } from './header/column-comments.ts'
import { commentText } from './header/comments.ts'
import { assertDialect, assertDuckDbDialect, dialectByName } from './header/dialect.ts'
import { HeaderProblems } from './header/header-problems.ts'
import { createFileSource, headerProblem, type HeaderSource } from './header/header-source.ts'
import { readModelHeader, type HeaderContext } from './header/model-header.ts'
import { MODEL_PROPERTIES } from './header/model-properties.ts'
import { parseBlock, type Properties } from './header/properties.ts'
import { isBlock, splitStatements, type Statement } from './header/statements.ts'
import { isToken } from '../sql/lexer.ts'
import type { Model, SqlText } from './model.ts'

/** What a file does not say about itself. */
export interface ParseContext extends HeaderContext {
  /** The user's variables, for `@name` in the header. */
  variables: Record<string, unknown>
}

/**
 * The model as the header and the defaults describe it; `depends_on` holds the header's own list, and
 * `self_referencing` is false: the loader adds what the query reads.
 *
 * @returns null for a file that holds nothing but comments.
 * @throws MillraceError the only problem of the file, or ProjectError all of them, with file, line and column.
 */
export function parseModelFile(source: string, context: ParseContext): Model | null {
  const { file, defaults } = context
  const text = createFileSource(file, source, { code: 'MODEL', variables: context.variables })
  const statements = split(text)
  const [block, ...rest] = statements
  if (block === undefined) return null
  const hasBlock = isBlock(block, 'MODEL')
  if (!hasBlock && !context.inferNames) throw withoutBlock(text, statements, block)

  const problems = new HeaderProblems()
  const written: Properties = hasBlock ? parseBlock(text, block, MODEL_PROPERTIES, problems) : new Map()
  assertDuckDbDialect(written.get('dialect'), defaults.dialect, text.place(block.first))
  assertNoBlueprints(written)
  const line = hasBlock ? block.first.line : 1
  const header = readModelHeader(written, context, { source: text, at: block.first, problems })
  const seed = header.kind.name === 'SEED'
  const body = parseBody(text, hasBlock ? rest : statements, { file, line, seed }, problems)
  problems.throwIfAny()

  const sqlDefaults = (texts: string[] | undefined): SqlText[] =>
    (texts ?? []).map((sql) => defaultStatement(sql, line))
  return {
    ...header,
    description: header.description ?? (hasBlock ? leadingComments(block) : null),
    column_descriptions: written.has('column_descriptions')
      ? header.column_descriptions
      : columnComments(body.query?.allTokens ?? []),
    dialect: 'duckdb',
    query: body.query?.sql ?? null,
    pre: [...sqlDefaults(defaults.pre_statements), ...body.pre],
    post: [...sqlDefaults(defaults.post_statements), ...body.post],
    on_virtual_update: [...sqlDefaults(defaults.on_virtual_update), ...body.on_virtual_update],
    inline_audits: body.inline_audits,
    file,
    line,
  }
}

/**
 * Checks that the audits a model calls exist. Its inline audits are known; `x_non_blocking` is when `x` is.
 * @throws MillraceError AUDIT with the nearest name.
 */
export function assertAuditsKnown(model: Model, knownNames: ReadonlySet<string>): void {
  const known = new Set([...knownNames, ...model.inline_audits.map(({ name }) => name)])
  const unknown = model.audits.find(({ name }) => !known.has(name) && !known.has(name.replace(/_non_blocking$/, '')))
  if (unknown === undefined) return
  const near = nearest(unknown.name, known)
  throw new MillraceError('AUDIT', `model '${model.name}' calls the audit '${unknown.name}', which is not defined`, {
    file: model.file,
    line: model.line,
    hint: near === null ? 'define it in audits/, or in the file of the model' : `Did you mean '${near}'?`,
  })
}

function split(text: HeaderSource): Statement[] {
  try {
    return splitStatements(text)
  } catch (error) {
    // Text of another dialect can be unreadable; what is wrong then is the dialect.
    const named = dialectByName(text.text)
    if (named !== null) assertDialect(named.dialect, text.place({ line: named.line, column: 1 }))
    throw error
  }
}

function withoutBlock(text: HeaderSource, statements: readonly Statement[], first: Statement): MillraceError {
  if (isToken(first.first, 'MODEL')) {
    const next = first.tokens[1]
    const got = next === undefined ? 'nothing' : `'${next.text}'`
    return headerProblem(
      text,
      next ?? first.first,
      `expected '(' after MODEL; got ${got}`,
      'write MODEL (name schema.model, …);',
    )
  }
  const later = statements.find((statement) => isBlock(statement, 'MODEL'))
  const hint =
    later === undefined
      ? 'begin the file with MODEL (name schema.model);'
      : `move MODEL (…); from line ${later.first.line} to the top of the file`
  return headerProblem(text, first.first, `expected MODEL (…); first in the file; got '${first.first.text}' …`, hint)
}

function assertNoBlueprints(written: Properties): void {
  const blueprints = written.get('blueprints')
  if (blueprints === undefined) return
  throw new MillraceError('NOT_YET', 'blueprints are not supported yet', {
    ...blueprints.source.place(blueprints.at),
    hint: 'write one file for each model',
  })
}

function leadingComments(block: Statement): string | null {
  const first = block.allTokens.findIndex(({ type }) => type !== 'comment')
  return first <= 0 ? null : block.allTokens.slice(0, first).map(commentText).join('\n')
}

function defaultStatement(sql: string, line: number): SqlText {
  return { text: /JINJA_END\s*;?\s*$/i.test(sql) ? sql.trim() : sql.trim().replace(/\s*;$/, ''), line }
}
