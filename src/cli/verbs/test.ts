/** `test`: runs the unit tests of models, in a database in memory. Neither Temporal nor the project's database is opened. */
import { formatError, MillraceError } from '../../errors.ts'
import { loadUnitTests } from '../../project/unit-tests/load-tests.ts'
import type { UnitTest } from '../../project/unit-tests/unit-test.ts'
import { runTests, type TestRun } from '../../unit-tests/run-tests.ts'
import type { CommandContext, Verb } from '../command.ts'
import { EXIT } from '../exit-codes.ts'
import { loadForVerb, selectedGraph, type LoadedProject } from '../load-for-verb.ts'
import { withScratchDatabase } from '../scratch-database.ts'
import { chooseTests } from '../test/choose-tests.ts'
import { testRunText } from '../test/test-text.ts'
import { affectedTests, watchFolder } from '../test/watch-tests.ts'

const EVERY = (tests: readonly UnitTest[]): readonly UnitTest[] => tests

export const testVerb: Verb = {
  async run(context) {
    if (context.options.watch) return watchTests(context)
    const run = await runChosen(context, EVERY)
    context.output.answer(testRunText(run), run)
    return run.failed === 0 ? EXIT.done : EXIT.failed
  },
}

type Narrow = (tests: readonly UnitTest[], loaded: LoadedProject) => readonly UnitTest[]

async function runChosen(context: CommandContext, narrow: Narrow): Promise<TestRun> {
  await using loaded = await loadForVerb(context)
  const { project, parser } = loaded
  const { select, exclude } = context.options
  const selected = select === null && exclude === null ? null : new Set(selectedGraph(project, context.options).names)
  const tests = narrow(chooseTests(await loadUnitTests(project), context.args, selected), loaded)
  if (tests.length === 0) return { passed: 0, failed: 0, tests: [] }
  return withScratchDatabase((lease) => runTests(tests, { project, parser, lease }))
}

/** With `--json`, the answer is the last run's. */
async function watchTests(context: CommandContext): Promise<typeof EXIT.interrupted> {
  const { output, root } = context
  let last: TestRun = { passed: 0, failed: 0, tests: [] }
  // A project that does not load is not known well enough to say what a change touches.
  let broken = false
  const again = async (narrow: Narrow): Promise<void> => {
    try {
      last = await runChosen(context, broken ? EVERY : narrow)
      broken = false
      output.say(last.tests.length === 0 ? 'No test is affected' : testRunText(last))
    } catch (error) {
      if (!(error instanceof MillraceError)) throw error
      broken = true
      output.say(formatError(error))
    }
    output.say('Watching for changes (Ctrl-C ends)')
  }
  await watchFolder(
    root,
    (changed) => again((tests, { project }) => affectedTests(tests, project, changed)),
    () => again(EVERY),
  )
  output.answer('', last)
  return EXIT.interrupted
}
