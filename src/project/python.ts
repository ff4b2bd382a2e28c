/** Python in a project is refused by name, with what replaces it. */
import { MillraceError, ProjectError } from '../errors.ts'
import { listFiles } from './read-file.ts'

const REPLACEMENTS: Record<string, string> = {
  models: 'write the model in SQL',
  macros: 'write the logic in the model’s SQL; only variables and date macros are expanded',
  signals: 'signals are not supported; remove the file',
  materializations: 'custom materializations are not supported; use one of the built-in kinds',
}

/** @throws ProjectError naming every Python file that would take part in the project. */
export async function assertNoPython(root: string, ignorePatterns: readonly string[]): Promise<void> {
  const problems: MillraceError[] = []
  for (const [folder, hint] of Object.entries(REPLACEMENTS)) {
    for (const file of await listFiles(root, folder, '.py', ignorePatterns)) {
      if (/(^|\/)__init__\.py$/.test(file)) continue
      problems.push(
        new MillraceError('PYTHON', `expected SQL; '${file}' is Python, which Millrace does not run`, {
          file,
          line: 1,
          hint,
        }),
      )
    }
  }
  if (problems.length > 0) throw new ProjectError(problems)
}
