import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { testVerb } from '../../src/cli/verbs/test.ts'
import type { TestRun } from '../../src/unit-tests/run-tests.ts'
import { startCli } from '../helpers/cli.ts'
import { createProject, TWO_MODELS, writeFiles } from '../helpers/project.ts'
import { errorOf, runVerb } from './run-verb.ts'

const FILES = {
  ...TWO_MODELS,
  'tests/test_a.yaml': 'a_is_one: {model: s.a, outputs: {query: [{x: 1}]}}',
  'tests/test_b.yaml':
    'b_adds_one: {model: s.b, inputs: {s.a: [{x: 4}]}, outputs: {query: [{y: 5}]}}\nb_is_wrong: {model: s.b, inputs: {s.a: [{x: 4}]}, outputs: {query: [{y: 6}]}}',
}

test('runs what patterns and selections leave; a failed test is exit code 1', async () => {
  const root = await createProject(FILES)
  const all = await runVerb<TestRun>(testVerb, root)
  expect(all).toMatchObject({ code: 1, document: { passed: 2, failed: 1 } })
  expect(all.text).toContain('the query (tests/test_b.yaml:2)')
  expect(all.text).toMatch(/row +column +expected +actual\n +1 +y +6 +5/)
  const names = async (...words: string[]) =>
    (await runVerb<TestRun>(testVerb, root, words)).document.tests.map(({ name }) => name)
  expect(await names('test_a.yaml')).toEqual(['a_is_one'])
  expect(await names('b_add*', 'is_one')).toEqual(['a_is_one', 'b_adds_one'])
  expect(await names('--select', 's.a')).toEqual(['a_is_one'])
  expect(await names('--exclude', 's.a', 'one')).toEqual(['b_adds_one'])
  expect(await errorOf(runVerb(testVerb, root, ['b_adds_oen']))).toMatchObject({
    code: 'SELECTION',
    hint: "Did you mean 'b_adds_one'?",
  })
})

test('the unit tests of the example pass', async () => {
  const root = fileURLToPath(new URL('../../examples/quickstart', import.meta.url))
  expect(await runVerb(testVerb, root)).toMatchObject({ code: 0, document: { passed: 2, failed: 0 } })
})

test('--watch runs again what a change reaches, goes on after a mistake, and ends on Ctrl-C', async () => {
  const root = await createProject(FILES)
  const cli = startCli(['test', root, '--watch', '--json'])
  await cli.seen('Watching')
  await writeFiles(root, { 'tests/test_b.yaml': FILES['tests/test_b.yaml'].replace('y: 6', 'y: 5'), 'other.md': '' })
  await cli.seen('2 passed in')
  await writeFiles(root, { 'models/a.sql': 'MODEL (name s.a); SELECT 1 AS' })
  await cli.seen('error[SQL_SYNTAX]')
  await writeFiles(root, TWO_MODELS)
  await cli.seen('3 passed in')
  cli.process.kill('SIGINT')
  const { code, stdout } = await cli.ended
  expect(code).toBe(130)
  expect(JSON.parse(stdout)).toMatchObject({ passed: 3, failed: 0 })
})
