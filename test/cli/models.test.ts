import { expect, test } from 'vitest'
import type { ModelDocument } from '../../src/cli/model-document.ts'
import { modelsVerb } from '../../src/cli/verbs/models.ts'
import { ProjectError } from '../../src/errors.ts'
import { runCli } from '../helpers/cli.ts'
import { createProject } from '../helpers/project.ts'
import { errorOf, runVerb } from './run-verb.ts'

const FILES = {
  'models/orders.sql': `-- What was ordered.
MODEL (
  name shop.orders,
  kind INCREMENTAL_BY_TIME_RANGE (time_column (day, '%Y%m%d'), lookback 2),
  cron '@hourly', start '2024-02-01', owner ana, tags [daily, core],
  columns (day TEXT, id INT),
  grain id,
  audits (not_null(columns := (id)), not_null(columns := (day), blocking := false), small, own)
);
SET VARIABLE n = @n;
SELECT day, id FROM raw.orders WHERE day = @start_ds;
DROP TABLE IF EXISTS left_over;
ON_VIRTUAL_UPDATE_BEGIN;
ANALYZE;
ON_VIRTUAL_UPDATE_END;
AUDIT (name own);
SELECT * FROM @this_model WHERE id < 0`,
  'models/report.sql': 'MODEL (name shop.report, kind FULL);\nSELECT count(*) AS n FROM shop.orders',
  'models/old.sql': 'MODEL (name shop.old, enabled false);\nSELECT 1 AS one',
  'audits/small.sql': 'AUDIT (name small, blocking false);\nSELECT * FROM @this_model LIMIT 0',
}
const VARS = ['--var', 'n=1']

test('the text has a line per model: name, kind, cron, file; disabled ones are marked', async () => {
  const root = await createProject(FILES)
  const { text, code } = await runVerb(modelsVerb, root, VARS)
  expect(code).toBe(0)
  expect(text.split('\n')).toEqual([
    'NAME         KIND                       CRON     FILE',
    'shop.old     VIEW                       @daily   models/old.sql (disabled)',
    'shop.orders  INCREMENTAL_BY_TIME_RANGE  @hourly  models/orders.sql',
    'shop.report  FULL                       @daily   models/report.sql',
  ])
})

test('the document has the header in its own spelling, with defaults filled in, and SQL as written', async () => {
  const root = await createProject(FILES)
  const { document } = await runVerb<ModelDocument[]>(modelsVerb, root, [...VARS, '--select', 'orders'])
  expect(document).toHaveLength(1)
  expect(document[0]).toMatchObject({
    name: 'shop.orders',
    kind: {
      name: 'INCREMENTAL_BY_TIME_RANGE',
      time_column: { column: 'day', format: '%Y%m%d' },
      lookback: 2,
      forward_only: false,
    },
    cron: '@hourly',
    interval_unit: 'hour',
    start: '2024-02-01',
    end: null,
    owner: 'ana',
    tags: ['daily', 'core'],
    description: 'What was ordered.',
    columns: { day: 'TEXT', id: 'INT' },
    column_descriptions: {},
    grains: ['id'],
    audits: [
      { name: 'not_null', args: { columns: '(id)' }, blocking: true },
      { name: 'not_null', args: { columns: '(day)' }, blocking: false },
      { name: 'small', args: {}, blocking: false },
      { name: 'own', args: {}, blocking: true },
    ],
    partitioned_by: ['day'],
    depends_on: ['raw.orders'],
    enabled: true,
    file: 'models/orders.sql',
    line: 2,
    dialect: 'duckdb',
    cron_tz: null,
    query: 'SELECT day, id FROM raw.orders WHERE day = @start_ds',
    pre: ['SET VARIABLE n = @n'],
    post: ['DROP TABLE IF EXISTS left_over'],
    on_virtual_update: ['ANALYZE'],
    inline_audits: [{ name: 'own', blocking: true, query: 'SELECT * FROM @this_model WHERE id < 0' }],
  })
  expect(document[0]).not.toHaveProperty('relation')
})

test.each([
  [[], ['shop.old', 'shop.orders', 'shop.report']],
  [
    ['--select', 'shop.orders+'],
    ['shop.orders', 'shop.report'],
  ],
  [['--exclude', 'kind:full'], ['shop.orders']],
])('%j lists %j', async (words, names) => {
  const root = await createProject(FILES)
  const { document } = await runVerb<ModelDocument[]>(modelsVerb, root, [...VARS, ...words])
  expect(document.map(({ name }) => name)).toEqual(names)
})

test('a selection that matches nothing is an error', async () => {
  const root = await createProject(FILES)
  const error = await errorOf(runVerb(modelsVerb, root, [...VARS, '--select', 'shop.ordres']))
  expect(error).toMatchObject({ code: 'SELECTION', hint: "Did you mean 'shop.orders'?" })
})

test('all problems of the project come at once', async () => {
  const root = await createProject({
    'models/a.sql': 'MODEL (nam a);\nSELECT 1',
    'models/b.sql': 'MODEL (name b);\nSELEC 1',
  })
  const error = await errorOf(runVerb(modelsVerb, root))
  expect(error).toBeInstanceOf(ProjectError)
  expect((error as ProjectError).problems.map(({ file }) => file)).toEqual(['models/a.sql', 'models/b.sql'])
})

test("the project's notices are passed on once", async () => {
  const config =
    'gateways: { local: { connection: { type: duckdb } } }\nmodel_defaults: { start: 2024-01-01 }\njanitor: {}\n'
  const root = await createProject({ 'config.yaml': config, 'models/a.sql': 'MODEL (name a.b);\nSELECT 1 AS one' })
  const { said } = await runVerb(modelsVerb, root)
  expect(said).toEqual([expect.stringMatching(/^note: .*janitor/)])
})

test('as a user runs it: one JSON document, or one error on both streams', async () => {
  const root = await createProject(FILES)
  const good = await runCli(['models', root, ...VARS, '--json'], { HOME: root })
  expect(good).toMatchObject({ code: 0, stderr: '' })
  expect(JSON.parse(good.stdout)).toHaveLength(3)
  const wrong = await runCli(['models', root, '--json', '--select', 'nope'], { HOME: root })
  expect(wrong.code).toBe(2)
  expect(JSON.parse(wrong.stdout)).toMatchObject({ error: { code: 'SELECTION' } })
  expect(wrong.stderr).toMatch(/^error\[SELECTION\]: /)
})
