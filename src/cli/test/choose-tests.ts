/** Which unit tests a command means. Pure. */
import { MillraceError, nearest } from '../../errors.ts'
import type { UnitTest } from '../../project/unit-tests/unit-test.ts'

/**
 * Tests of which a pattern is a part of `file::name` or of the model's name; with `*` it must fit one of them as a whole.
 * @param models the names that are selected; null for all. @throws MillraceError SELECTION when patterns leave none
 */
export function chooseTests(
  tests: readonly UnitTest[],
  patterns: readonly string[],
  models: ReadonlySet<string> | null,
): UnitTest[] {
  const selected = tests.filter((test) => models === null || models.has(test.model))
  if (patterns.length === 0) return selected
  const chosen = selected.filter((test) => patterns.some((pattern) => fits(test, pattern)))
  if (chosen.length > 0) return chosen
  const near = nearest(
    patterns[0] ?? '',
    tests.map(({ name }) => name),
  )
  throw new MillraceError(
    'SELECTION',
    `expected a test's name, file or model; no test fits '${patterns.join("', '")}'`,
    {
      hint: near === null ? 'the verb `test` without a pattern runs all' : `Did you mean '${near}'?`,
    },
  )
}

function fits({ file, name, model }: UnitTest, pattern: string): boolean {
  const texts = [`${file}::${name}`, name, model]
  if (!pattern.includes('*')) return texts.some((text) => text.includes(pattern))
  const whole = new RegExp(`^${pattern.split('*').map(escape).join('.*')}$`)
  return texts.some((text) => whole.test(text))
}

function escape(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}
