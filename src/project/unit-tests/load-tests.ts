/** `test*.yaml` in `tests` and its folders → UnitTests. All problems are found before one is reported. */
import { existsSync, readFileSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { MillraceError, ProjectError } from '../../errors.ts'
import type { Project } from '../project.ts'
import { listFiles, readText } from '../read-file.ts'
import { parseTest } from './parse-test.ts'
import { parseTestYaml } from './test-yaml.ts'
import { describe, isMapping, TestSource, type TestContext } from './test-values.ts'
import type { UnitTest } from './unit-test.ts'

/**
 * Every test of every file, in the files' order. Whether its model is there, and has all its inputs, is seen when it runs.
 * @throws ProjectError TEST or FILE naming every problem with its line
 */
export async function loadUnitTests(project: Project): Promise<UnitTest[]> {
  const { root, config } = project
  const problems: MillraceError[] = []
  const keep = (problem: MillraceError): void => void problems.push(problem)
  const files = [
    ...(await listFiles(root, 'tests', '.yaml', config.ignorePatterns, keep)),
    ...(await listFiles(root, 'tests', '.yml', config.ignorePatterns, keep)),
  ].filter((file) => basename(file).startsWith('test'))
  const tests: UnitTest[] = []
  for (const file of files.sort()) {
    try {
      tests.push(
        ...parseFile(new TestSource(parseTestYaml(await readText(root, file), file, config.env)), project, keep),
      )
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      problems.push(...(error instanceof ProjectError ? error.problems : [error]))
    }
  }
  if (problems.length > 0) throw new ProjectError(problems)
  return tests
}

/** The only test of a text. @throws ProjectError TEST */
export function parseOneTest(text: string, project: Project): UnitTest {
  const problems: MillraceError[] = []
  const source = new TestSource(parseTestYaml(text, 'the new test', project.config.env))
  const [test] = parseFile(source, project, (problem) => void problems.push(problem))
  if (test === undefined) throw new ProjectError(problems)
  return test
}

function parseFile(source: TestSource, project: Project, keep: (problem: MillraceError) => void): UnitTest[] {
  const { file, value } = source.yaml
  if (value === null || value === undefined) return []
  const context: TestContext = {
    source,
    defaultCatalog: project.defaultCatalog,
    gateways: Object.keys(project.config.gateways),
    readFile: (path) => findFile(path, project.root, file),
  }
  if (!isMapping(value)) {
    source.wrong([], `expected '${file}' to be tests by their names, got ${describe(value)}`)
    source.problems.forEach(keep)
    return []
  }
  const tests = Object.keys(value).map((name) => parseTest(name, context))
  source.problems.forEach(keep)
  return tests.filter((test) => test !== null)
}

/** Relative to the project's folder, else to the test's file. */
function findFile(path: string, root: string, file: string): { path: string; text: string } | null {
  const found = [resolve(root, path), resolve(root, dirname(join(root, file)), path)].find((one) => existsSync(one))
  return found === undefined ? null : { path: found, text: readFileSync(found, 'utf8') }
}
