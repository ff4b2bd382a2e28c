import { expect, test } from 'vitest'
import { alterTable, columnChanges, describeChange, isDestructive, type Column } from '../../src/sql/alter-table.ts'

const columns = (text: string): Column[] =>
  text.split(', ').map((column) => {
    const [name = '', type = ''] = column.split(' ')
    return { name, type }
  })

test('columns are told apart by name, whatever their order and case', () => {
  expect(columnChanges(columns('a INTEGER, b VARCHAR'), columns('B varchar, A INTEGER'))).toEqual([])
  const changes = columnChanges(columns('a INTEGER, b VARCHAR, c DATE'), columns('a BIGINT, d DATE, c INTEGER'))
  expect(changes).toEqual([
    { change: 'dropped', column: 'b' },
    { change: 'widened', column: 'a', from: 'INTEGER', type: 'BIGINT' },
    { change: 'added', column: 'd', type: 'DATE' },
    { change: 'narrowed', column: 'c', from: 'DATE', type: 'INTEGER' },
  ])
  expect(changes.map(isDestructive)).toEqual([true, false, false, true])
  expect(changes.map(describeChange)).toEqual([
    "drops 'b'",
    "changes 'a' from INTEGER to BIGINT",
    "adds 'd' DATE",
    "changes 'c' from DATE to INTEGER",
  ])
  const table = { catalog: null, schema: 's', name: 't' }
  expect(changes.map((change) => alterTable(table, change).replaceAll('"', ''))).toEqual([
    'ALTER TABLE s.t DROP COLUMN b',
    'ALTER TABLE s.t ALTER COLUMN a SET DATA TYPE BIGINT',
    'ALTER TABLE s.t ADD COLUMN d DATE',
    'ALTER TABLE s.t ALTER COLUMN c SET DATA TYPE INTEGER',
  ])
})

test.each([
  ['TINYINT', 'BIGINT', true],
  ['BIGINT', 'INTEGER', false],
  ['UINTEGER', 'BIGINT', true],
  ['UINTEGER', 'INTEGER', false],
  ['UTINYINT', 'HUGEINT', true],
  ['INTEGER', 'UINTEGER', false],
  ['INTEGER', 'DOUBLE', true],
  ['INTEGER', 'FLOAT', false],
  ['BIGINT', 'DOUBLE', false],
  ['FLOAT', 'DOUBLE', true],
  ['DOUBLE', 'FLOAT', false],
  ['INTEGER', 'DECIMAL(12,2)', true],
  ['INTEGER', 'DECIMAL(11,2)', false],
  ['DECIMAL(10,2)', 'DECIMAL(12,4)', true],
  ['DECIMAL(10,2)', 'DECIMAL(11,4)', false],
  ['DECIMAL(10,2)', 'DOUBLE', false],
  ['DATE', 'TIMESTAMP', true],
  ['TIMESTAMP_S', 'TIMESTAMP', true],
  ['TIMESTAMP', 'DATE', false],
  ['STRUCT(a INTEGER)', 'VARCHAR', true],
  ['VARCHAR', 'INTEGER', false],
])('from %s to %s loses nothing: %s', (from, type, wider) => {
  const [change] = columnChanges([{ name: 'a', type: from }], [{ name: 'a', type }])
  expect(change?.change).toBe(wider ? 'widened' : 'narrowed')
})
