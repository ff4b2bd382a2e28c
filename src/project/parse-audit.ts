/** A file of `audits/` → AuditDefinitions. */
import { parseAuditBlock } from './header/audit-block.ts'
import { HeaderProblems } from './header/header-problems.ts'
import { createFileSource, headerProblem } from './header/header-source.ts'
import { isBlock, splitStatements } from './header/statements.ts'
import type { AuditDefinition } from './model.ts'

/**
 * Every `AUDIT (…);` with the query after it; none for a file of comments.
 * @param file relative to the project, to report.
 * @throws MillraceError or ProjectError with file, line and column.
 */
export function parseAuditFile(source: string, file: string, defaultCatalog: string | null = null): AuditDefinition[] {
  const text = createFileSource(file, source, { code: 'AUDIT', variables: {} })
  const statements = splitStatements(text)
  const problems = new HeaderProblems()
  const audits: AuditDefinition[] = []
  for (let index = 0; index < statements.length; index++) {
    const statement = statements[index]
    if (statement === undefined) break
    if (!isBlock(statement, 'AUDIT')) {
      const message = `expected AUDIT (…); and then one query; got '${statement.first.text}' …`
      problems.add(headerProblem(text, statement.first, message, 'an audit is AUDIT (name my_audit); SELECT …;'))
      continue
    }
    const query = statements[index + 1]
    const audit = problems.attempt(null, () => parseAuditBlock(text, statement, query, { file, defaultCatalog }))
    if (audit !== null) audits.push(audit)
    if (query !== undefined && !isBlock(query, 'AUDIT')) index += 1
  }
  problems.throwIfAny()
  return audits
}
