import { expect, test } from 'vitest'
import { graphVerb } from '../../src/cli/verbs/graph.ts'
import { createProject } from '../helpers/project.ts'
import { errorOf, runVerb } from './run-verb.ts'

/**
 *   a.raw ──> a.clean ──> a.report
 *     └────────────────────^
 *   a.off (disabled) reads a.raw
 */
const FILES = {
  'models/raw.sql': 'MODEL (name a.raw);\nSELECT 1 AS x FROM outside.source',
  'models/clean.sql': 'MODEL (name a.clean, tags [t]);\nSELECT x FROM a.raw',
  'models/report.sql': 'MODEL (name a.report, kind FULL);\nSELECT x FROM a.clean JOIN a.raw USING (x)',
  'models/off.sql': 'MODEL (name a.off, enabled false);\nSELECT x FROM a.raw',
}

test('text, the default, has a layer per step from the sources', async () => {
  const { text, code } = await runVerb(graphVerb, await createProject(FILES))
  expect(code).toBe(0)
  expect(text.split('\n').map((line) => line.trim())).toEqual([
    'Layer 1',
    'a.raw     VIEW',
    '',
    'Layer 2',
    'a.clean   VIEW  ← a.raw',
    '',
    'Layer 3',
    'a.report  FULL  ← a.clean, a.raw',
  ])
})

test.each([
  ['mermaid', /^flowchart LR\n/],
  ['DOT', /^digraph models \{\n/],
])('--format %s draws it', async (format, start) => {
  const { text } = await runVerb(graphVerb, await createProject(FILES), ['--format', format])
  expect(text).toMatch(start)
  expect(text).toContain('a.report')
  expect(text).not.toContain('a.off')
})

test('the JSON document is that of --format json, whatever the format', async () => {
  const root = await createProject(FILES)
  const expected = {
    models: ['a.raw', 'a.clean', 'a.report'],
    edges: [
      ['a.raw', 'a.clean'],
      ['a.raw', 'a.report'],
      ['a.clean', 'a.report'],
    ],
  }
  const { text, document } = await runVerb(graphVerb, root, ['--format', 'json'])
  expect(document).toEqual(expected)
  expect(JSON.parse(text)).toEqual(expected)
  expect((await runVerb(graphVerb, root, ['--format', 'dot'])).document).toEqual(expected)
})

test('a selection leaves its models and the edges between them', async () => {
  const { document } = await runVerb(graphVerb, await createProject(FILES), [
    '--select',
    '+report',
    '--exclude',
    'tag:t',
  ])
  expect(document).toEqual({ models: ['a.raw', 'a.report'], edges: [['a.raw', 'a.report']] })
})

test.each([
  ['svg', { code: 'NOT_YET' }],
  ['html', { code: 'NOT_YET' }],
  ['mermayd', { code: 'USAGE', hint: "Did you mean 'mermaid'?" }],
  ['png', { code: 'USAGE', message: "--format: expected one of text, mermaid, dot, json; got 'png'" }],
])('--format %s is refused', async (format, error) => {
  expect(await errorOf(runVerb(graphVerb, await createProject(FILES), ['--format', format]))).toMatchObject(error)
})
